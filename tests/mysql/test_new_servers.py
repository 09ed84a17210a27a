# SPDX-License-Identifier: LGPL-2.1-or-later
"""The newer destinations, MySQL 9.7 and MariaDB 11.8: the whole way there and back, and every column type both ways.

They take a gigabyte of another Debian release, so only `tests/setup --for=servers` fetches them, and only a machine that
has them, or POLARSHIFT_TEST_ALL=1 (where their absence is a failure), runs this."""

import os
import random

import pytest

import agent as agent_module
import equal
import schemas
import servers
import steps
from test_ddl import BACK, run, settle
from test_life_cycle import whole_life
from test_statements import prepared_transactions
from test_types import there_and_back
from workload import Workload


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
                ('minimal', [], ["binlog_row_image='MINIMAL'"]),
                ('without blobs, compressed', [], ["binlog_row_image='NOBLOB'", 'binlog_transaction_compression=ON']),
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
                        # XA in one phase, and one transaction of 20 MB, that packs well
                        for sql in ("XA START 'one'", 'INSERT INTO bulk (body) VALUES (7)', "XA END 'one'",
                                    "XA COMMIT 'one' ONE PHASE"):
                                cursor.execute(sql)
                        cursor.execute('BEGIN')
                        for i in range(20):
                                cursor.execute("INSERT INTO bulk (body) VALUES (REPEAT(CONCAT(%s, RAND()), 50000))", (i,))
                        cursor.execute('COMMIT')
                equal.wait_equal(source, destination, ['all_types'])
                # A link that begins anew reads the last transaction again and has to find it as it was.
                shop.call('Pause', '(a{sv}t)', {}, 0)
                shop.wait_property('ReplicationState', 'stopped', 20)
                destination.admin('UPDATE all_types.bulk SET body = id')
                shop.call('Resume', '(a{sv}t)', {}, 0)
                equal.wait_equal(source, destination, ['all_types'])
                print(f'{title}: equal')
        with steps.busy_with_bytes(destination):
                steps.change_side(shop, 'Rollback')
        equal.wait_equal(source, destination, ['all_types'])


def test_prepared_transactions(agent, link, server, destination):
        prepared_transactions(agent, link, server(servers.MySQL56), destination)


# What MySQL 5.6 makes of these is made on newer servers too, although their defaults are others.
ODD_DEFINITIONS = [
        'CREATE TABLE no_primary (a INT NOT NULL, b INT, UNIQUE KEY (a))',
        "CREATE TABLE defaults (id INT PRIMARY KEY, y YEAR(4), z INT(3) ZEROFILL, b BIT(3) DEFAULT b'101', "
        "d DATETIME DEFAULT '0000-00-00 00:00:00', e ENUM('a','b') DEFAULT 'b', s SET('x','y') NOT NULL DEFAULT 'x,y', "
        't TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)) ROW_FORMAT=FIXED',
        'CREATE TABLE charsets (id INT PRIMARY KEY, v VARCHAR(255) CHARACTER SET utf8 COLLATE utf8_general_mysql500_ci, '
        'w VARCHAR(100) CHARACTER SET ucs2, x CHAR(10) CHARACTER SET sjis) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4',
        'CREATE TABLE parent (a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b), KEY (b))',
        'CREATE TABLE child (id INT PRIMARY KEY, b INT, CONSTRAINT odd FOREIGN KEY (b) REFERENCES parent (b))',
        'CREATE TABLE `rank` (`row_number` INT PRIMARY KEY, `groups` INT, `lateral` INT, `manual` INT, KEY `window` (`groups`))',
        'CREATE TABLE ranges (id INT NOT NULL, d DATE NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE (TO_DAYS(d)) '
        "(PARTITION p0 VALUES LESS THAN (TO_DAYS('2014-01-01')), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        'CREATE TABLE by_key (id INT PRIMARY KEY, k INT) PARTITION BY KEY () PARTITIONS 4',
        "CREATE TABLE by_list (id INT NOT NULL, c VARCHAR(9) NOT NULL, PRIMARY KEY (id, c)) DEFAULT CHARSET=latin1 PARTITION BY LIST COLUMNS (c) "
        "(PARTITION `a b` VALUES IN ('x','it''s') COMMENT = 'some', PARTITION `Other` VALUES IN ('y'))",
        'CREATE TABLE sub (id INT NOT NULL, d DATE NOT NULL, PRIMARY KEY (id, d)) PARTITION BY RANGE COLUMNS (d, id) SUBPARTITION BY HASH (id + YEAR(d)) '
        "SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN ('2014-01-01', 7), PARTITION p1 VALUES LESS THAN (MAXVALUE, MAXVALUE))",
        "CREATE TABLE by_hash (id INT PRIMARY KEY) ROW_FORMAT=REDUNDANT COMMENT='it''s a \\\\ ü' PARTITION BY LINEAR HASH (id DIV 3) PARTITIONS 3",
        'CREATE TABLE full_text (id INT PRIMARY KEY, t TEXT, FULLTEXT KEY (t)) DEFAULT CHARSET=latin1',
        'CREATE TABLE wide (id INT PRIMARY KEY, ' + ', '.join(f'c{i} VARCHAR(20)' for i in range(999))
        + ') DEFAULT CHARSET=latin1',
        'CREATE TABLE long_key (id VARCHAR(191) CHARACTER SET utf8mb4 PRIMARY KEY, t TEXT CHARACTER SET utf8mb4, KEY (t(191)))',
]


def test_odd_definitions(link, server, destination):
        source = server(servers.MySQL56)
        if destination.flavor == 'mysql97':
                destination.admin('SET GLOBAL sql_generate_invisible_primary_key=1')
        source.script(['SET GLOBAL innodb_file_format=Barracuda', 'CREATE DATABASE odd COLLATE utf8_unicode_ci', 'USE odd',
                       *ODD_DEFINITIONS])
        shop = link(source, destination)
        steps.start(shop)
        assert equal.compare(source, destination, ['odd']) == []
        steps.change_side(shop, 'Switch')
        steps.change_side(shop, 'Rollback')
        assert equal.compare(source, destination, ['odd']) == []
        # That this comparison sees what a destination lacks.
        destination.script(['ALTER TABLE ranges REMOVE PARTITIONING', 'ALTER TABLE by_hash COMMENT = "another"', 'ALTER TABLE charsets ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE=0'],
                           db='odd')
        found = equal.compare(source, destination, ['odd'])
        assert [line.split(': ')[:2] for line in found] == [['odd.by_hash', 'comment'], ['odd.charsets', 'row format'], ['odd.ranges', 'partitions']], found


def test_refused_definition(link, server, destination):
        """MySQL 9.7 no longer has AUTO_INCREMENT of a DOUBLE: the start says so, and leaves nothing behind."""
        source = server(servers.MySQL56)
        source.script(['CREATE DATABASE odd', 'CREATE TABLE odd.t (id DOUBLE PRIMARY KEY AUTO_INCREMENT)'])
        shop = link(source, destination)
        if destination.flavor == 'mariadb':
                steps.start(shop)
                return
        with pytest.raises(agent_module.OperationFailed) as failed:
                shop.operate('Start', flags=1)
        assert failed.value.short == 'UnsupportedObject' and '`odd`.`t`' in failed.value.message
        assert source.variable('read_only') == 0 and destination.variable('read_only') == 0


# On the new server, to be carried to MySQL 5.6: what test_ddl has, but for what is MariaDB's alone.
STATEMENTS_BACK = [*BACK[:6], *BACK[7:10], 'CREATE TABLE shop.like_back LIKE shop.back', 'INSERT INTO shop.like_back SELECT * FROM shop.back',
                   'CREATE UNIQUE INDEX once ON shop.like_back (more, id)', 'ALTER TABLE shop.like_back MODIFY more DECIMAL(30,6) NULL, ADD s VARCHAR(9) '
                   "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL DEFAULT 'é' FIRST", "UPDATE shop.like_back SET s = 'ü' WHERE id = 9",
                   'DROP INDEX once ON shop.like_back', 'TRUNCATE TABLE shop.back', 'INSERT INTO shop.back VALUES (11, 11)',
                   'CREATE DATABASE other DEFAULT CHARACTER SET latin1 COLLATE latin1_swedish_ci', 'CREATE TABLE other.t (id INT PRIMARY KEY, c CHAR(10))',
                   "INSERT INTO other.t VALUES (1, 'é')", 'ALTER TABLE other.t RENAME TO other.u', 'DROP TABLE IF EXISTS other.t',
                   'CREATE DATABASE brief', 'CREATE TABLE brief.t (id INT PRIMARY KEY)', 'DROP DATABASE brief']


def test_statements_back(link, server, destination):
        """CREATE TABLE … SELECT both ways: MySQL 5.6 logs a definition and rows of their own, and only without GTIDs; 9.7 both in one transaction."""
        source = server(servers.MySQL56, config=['skip:gtid_mode', 'skip:enforce-gtid-consistency'])
        schemas.create_shop(source, 300)
        shop = link(source, destination)
        with Workload([source, destination], writers=2, rate=100) as load:
                steps.start(shop)
                run(source, ['CREATE TABLE forth (id INT PRIMARY KEY) DEFAULT CHARSET latin1 SELECT id, country FROM customers WHERE id <= 20',
                             "UPDATE forth SET country = 'QQ' WHERE id = 3"])
                settle(shop, load, source, destination)
                assert destination.scalar('SELECT COUNT(*) FROM shop.forth') == 20
                steps.change_side(shop, 'Switch')
                run(destination, STATEMENTS_BACK)
                settle(shop, load, destination, source, ['shop', 'other'])
                assert source.scalar("SELECT COUNT(*) FROM shop.like_back WHERE s = 'ü'") == 1 and not source.admin("SHOW DATABASES LIKE 'brief'")
                steps.change_side(shop, 'Rollback')
        load.check(source)
