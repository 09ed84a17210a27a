# SPDX-License-Identifier: LGPL-2.1-or-later
"""What judges the agent has to be able to say no: the reader sees every kind of difference, the ledger every loss."""

import random
import time

import pytest

import equal
import schemas
import servers
import steps
from workload import Workload

DIFFERENCES = {
        'a value': "UPDATE t SET s = 'B' WHERE id = 1", 'case only': "UPDATE t SET s = 'A' WHERE id = 1",
        'a trailing space': "UPDATE t SET s = 'a ' WHERE id = 1", 'NULL for empty': 'UPDATE t SET s = NULL WHERE id = 2',
        'the seventh digit of a FLOAT': 'UPDATE t SET f = 16777217 - 2 WHERE id = 1',
        'the wrong enum value': 'UPDATE t SET e = 0 WHERE id = 1',
        'a microsecond': "UPDATE t SET ts = '2014-01-01 00:00:00.000002' WHERE id = 1",
        'a row less': 'DELETE FROM t WHERE id = 2', 'a row more': 'INSERT INTO t (id) VALUES (3)',
        'an index less': 'ALTER TABLE t DROP KEY s', 'a default': "ALTER TABLE t ALTER s SET DEFAULT 'x'",
        'a length': 'ALTER TABLE t MODIFY s VARCHAR(11)', 'a collation': 'ALTER TABLE t MODIFY s VARCHAR(10) '
        'CHARACTER SET latin1 COLLATE latin1_bin', 'no AUTO_INCREMENT': 'ALTER TABLE t MODIFY id INT NOT NULL',
        'a table more': 'CREATE TABLE u (a INT PRIMARY KEY)', 'a table less': 'DROP TABLE t',
        'the character set of the database': 'ALTER DATABASE tools CHARACTER SET utf8'}


def make(server):
        server.script(["SET time_zone = '+00:00', sql_mode = ''", 'DROP DATABASE IF EXISTS tools',
                       'CREATE DATABASE tools CHARACTER SET latin1', 'USE tools',
                       "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, s VARCHAR(10), f FLOAT, "
                       "e ENUM('', 'x'), ts TIMESTAMP(6) NULL DEFAULT NULL, KEY s (s)) ENGINE=InnoDB",
                       "INSERT INTO t VALUES (1, 'a', 16777216, '', '2014-01-01 00:00:00.000001'), "
                       "(2, '', 0, 'x', '0000-00-00')"])


def test_reader(pair):
        for server in pair:
                make(server)
        assert equal.compare(*pair) == []
        for title, sql in DIFFERENCES.items():
                make(pair[1])
                pair[1].script(["SET time_zone = '+00:00', sql_mode = ''", sql], db='tools')
                assert equal.compare(*pair), f'{title} is not seen'
                assert equal.compare(pair[1], pair[0]), f'{title} is not seen the other way round'


def test_reader_on_all_types(pair):
        """The same rows written to both servers by SQL are equal to the reader: no false alarm."""
        for server in pair:
                schemas.create_all_types(server, rows=60)
                with server.connect('app', servers.APP_PASSWORD) as c:
                        schemas.churn_all_types(c, random.Random(7))
        # Its key is the time of the change, which differs.
        assert [d for d in equal.compare(*pair) if 'k_timestamp_now' not in d] == []


def written(server):
        deadline = time.monotonic() + 60
        while not server.scalar('SELECT COUNT(*) FROM shop.ledger'):
                assert time.monotonic() < deadline, 'nobody writes'
                time.sleep(0.05)


def test_ledger(pair):
        """Writers that follow the side that takes writes, and a ledger that notices what is wrong."""
        source, destination = pair
        for server in pair:
                schemas.create_shop(server, 300)
        destination.admin('SET GLOBAL read_only = 1')
        with Workload([source, destination], writers=2, rate=400) as load:
                written(source)
                assert steps.write_refused(destination) and not steps.write_refused(source)
                source.admin('SET GLOBAL read_only = 1')
                time.sleep(2)
                destination.admin('SET GLOBAL read_only = 0')
                written(destination)
                load.pause()
                assert [s[:2] for s in load.switches()] == [(0, 1)]
                assert 1 < load.switches()[0][2] < 60
                moved = sum(1 for r in load.records() if r[3] == 1)
                load.go_on()
        assert moved and load.refused(0)
        with pytest.raises(AssertionError, match='acknowledged, but missing'):
                load.check(destination)         # what the source got never came here
        for table in ('ledger', 'ledger_log'):  # now it does
                columns = '*' if table == 'ledger' else 'writer, seq'
                for row in source.admin(f'SELECT {columns} FROM shop.{table}'):
                        destination.admin(f'INSERT INTO shop.{table}{"" if columns == "*" else " (writer, seq)"} '
                                          f'VALUES ({", ".join(["%s"] * len(row))})', row)
        destination.admin('UPDATE shop.customers SET balance = 0')
        load.check(destination)
        for sql, complaint in (
                        ('INSERT INTO shop.ledger_log (writer, seq) SELECT writer, seq FROM shop.ledger LIMIT 1', 'twice'),
                        ("INSERT INTO shop.ledger VALUES (0, 999999, '0123456789abcdef')", 'neither'),
                        ('UPDATE shop.customers SET balance = 1 LIMIT 1', 'sum of all balances')):
                destination.admin(sql)
                with pytest.raises(AssertionError, match=complaint):
                        load.check(destination)
