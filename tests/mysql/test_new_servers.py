# SPDX-License-Identifier: LGPL-2.1-or-later
"""The newer destinations, MySQL 9.7 and MariaDB 11.8: the whole way there and back, and every column type both ways.

They take a gigabyte of another Debian release, so only `tests/setup --for=servers` fetches them, and only a machine that
has them, or POLARSHIFT_TEST_ALL=1 (where their absence is a failure), runs this."""

import os
import random

import pytest

import equal
import schemas
import servers
import steps
from test_life_cycle import whole_life
from test_types import there_and_back


@pytest.fixture(params=[servers.MySQL97, servers.MariaDB118], ids=['mysql97', 'mariadb118'])
def destination(request, server):
        missing = request.param.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        return server(request.param)


def test_whole_life(agent, link, server, destination):
        whole_life(agent, link, server(servers.MySQL56), destination, customers=3000, run=0.7)


def test_all_types(link, server, destination):
        source = server(servers.MySQL56)
        there_and_back(source, destination, link(source, destination))


# What a server can be told to log otherwise than by default: (global settings, settings of the session that writes)
WAYS_TO_LOG = {
    'mysql97': [('compressed', [], ['binlog_transaction_compression=ON']),
                ('compressed hard', [], ['binlog_transaction_compression=ON',
                                         'binlog_transaction_compression_level_zstd=22']),
                ('tagged', [], ["gtid_next='AUTOMATIC:some_tag'"]),
                ('talkative', ["binlog_row_metadata='FULL'"], ['binlog_rows_query_log_events=ON']),
                ('without checksums', ["binlog_checksum='NONE'"], []),
                ('without checksums, compressed', [], ['binlog_transaction_compression=ON'])],
    'mariadb': [('compressed', ['log_bin_compress=ON', 'log_bin_compress_min_len=10'], []),
                ('talkative', ["binlog_row_metadata='FULL'"], ['binlog_annotate_row_events=ON']),
                ('without checksums', ["binlog_checksum='NONE'"], []),
                ('large commits', ["binlog_checksum='CRC32'", 'log_bin_compress=OFF',
                                   'binlog_large_commit_threshold=10485760'], [])],
}


def test_ways_to_log(link, server, destination):
        """All that the newer servers write into their binary logs arrives on the old one."""
        source = server(servers.MySQL56)
        schemas.create_all_types(source, rows=30)
        source.admin('CREATE TABLE all_types.bulk (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)')
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        for n, (title, settings, session) in enumerate(WAYS_TO_LOG[destination.flavor]):
                for setting in settings:
                        destination.admin(f'SET GLOBAL {setting}')
                with destination.connect() as c, c.cursor() as cursor:
                        for setting in session:
                                cursor.execute(f'SET SESSION {setting}')
                        schemas.churn_all_types(c, random.Random(n), rounds=2, start=5000 + 100 * n)
                        # One transaction of 20 MB, that packs well; and an empty one
                        cursor.execute('BEGIN')
                        for i in range(20):
                                cursor.execute("INSERT INTO bulk (body) VALUES (REPEAT(CONCAT(%s, RAND()), 50000))", (i,))
                        cursor.execute('COMMIT')
                equal.wait_equal(source, destination, ['all_types'])
                print(f'{title}: equal')
        steps.change_side(shop, 'Rollback')
        equal.wait_equal(source, destination, ['all_types'])
