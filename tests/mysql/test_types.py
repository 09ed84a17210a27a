# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every column type and kind of key, through the copy, the stream, and the way back."""

import random

import pytest

import equal
import schemas
import servers
import steps


def churn(server, seed, start):
        with server.connect('app', servers.APP_PASSWORD) as c:
                schemas.churn_all_types(c, random.Random(seed), rounds=3, start=start)


def there_and_back(source, destination, migration):
        schemas.create_all_types(source, rows=150)
        steps.start(migration)
        equal.wait_equal(source, destination, ['all_types'])            # what was copied
        churn(source, 1, 1000)
        equal.wait_equal(source, destination, ['all_types'])            # what came by the stream
        steps.change_side(migration, 'Switch')
        churn(destination, 2, 2000)
        equal.wait_equal(source, destination, ['all_types'])            # and the other way
        steps.change_side(migration, 'Rollback')
        churn(source, 3, 3000)
        equal.wait_equal(source, destination, ['all_types'])
        migration.operate('Cancel')


def test_all_types_mariadb(pair, link):
        there_and_back(*pair, link(*pair))


def test_all_types_mysql(server, link):
        source, destination = server(servers.MySQL56), server(servers.MySQL56)
        there_and_back(source, destination, link(source, destination))


def test_churn_while_copying(pair, link):
        source, destination = pair
        schemas.create_all_types(source, rows=600)
        shop = link(source, destination, max_copy_rate=8 << 20)
        shop.operate('Start', flags=1)
        for n in range(4):
                churn(source, 10 + n, 10000 + n * 1000)
        shop.wait_phase('synchronizing')
        equal.wait_equal(source, destination, ['all_types'])


@pytest.mark.parametrize('rows', [0, 1])
def test_tiny_tables(pair, link, rows):
        source, destination = pair
        schemas.create_all_types(source, rows=rows)
        steps.start(link(source, destination))
        equal.wait_equal(source, destination, ['all_types'])


def test_include_and_exclude(pair, link):
        source, destination = pair
        for db in ('one', 'two', 'three'):
                source.admin(f'CREATE DATABASE {db}')
                for table in ('a', 'b'):
                        source.admin(f'CREATE TABLE {db}.{table} (id INT PRIMARY KEY)')
                        source.admin(f'INSERT INTO {db}.{table} VALUES (1)')
        try:
                m = link(source, destination, include=['one', 't*.a'], exclude=['three.*'], fence='accounts')
                steps.start(m)
        except Exception as e:
                if getattr(e, 'short', '') == 'NotSupported':
                        pytest.skip('fence=accounts is not there yet')
                raise
        source.admin('INSERT INTO one.b VALUES (2)')
        source.admin('INSERT INTO two.b VALUES (2)')
        equal.wait_equal(source, destination, ['one'])
        tables = destination.admin("SELECT table_schema, table_name FROM information_schema.tables "
                                   "WHERE table_schema IN ('one', 'two', 'three') ORDER BY 1, 2")
        assert tables == (('one', 'a'), ('one', 'b'), ('two', 'a'))
