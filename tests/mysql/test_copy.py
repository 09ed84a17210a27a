# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to rows while they are copied."""

import random
import threading
import time

import pymysql
import pytest

import equal
import servers
import steps


def test_unique_values_that_move_while_copying(link, pair):
        """Values of a unique key wander from rows that are copied already to rows that are not, and back, one transaction after the
        other: at no moment may the destination hold one twice, though its rows are of different moments until the copy ends."""
        source, destination = pair
        source.admin('CREATE DATABASE u')
        source.admin('CREATE TABLE u.t (id INT PRIMARY KEY, v BIGINT NOT NULL, filler VARBINARY(400), UNIQUE KEY v (v))')
        source.admin("INSERT INTO u.t VALUES (1, 1, REPEAT('x', 400))")
        for power in range(15):
                source.admin(f'INSERT INTO u.t SELECT id + {1 << power}, id + {1 << power}, filler FROM u.t')
        rows = 1 << 15
        stop, moves, failures = threading.Event(), [0], []

        def run(cursor, sql, values):
                while True:
                        try:
                                return cursor.execute(sql, values)
                        except pymysql.OperationalError as e:
                                if e.args[0] != 1213:
                                        raise

        def wander(seed):
                rng = random.Random(seed)
                half = rows // 2
                # Each thread has its own residue class, so that they do not wait for each other's locks.
                try:
                        with source.connect('app', servers.APP_PASSWORD, 'u', autocommit=True) as c, c.cursor() as cursor:
                                while not stop.is_set():
                                        # Few rows that are copied first, and all of those that are copied late: a value is passed on
                                        # before the destination has heard that it came.
                                        low = rng.randrange(0, 4) * 4 + seed + 1
                                        high = rng.randrange(0, half // 4) * 4 + seed + 1 + half
                                        cursor.execute('SELECT id, v FROM t WHERE id IN (%s, %s) ORDER BY id', (low, high))
                                        (_, first), (_, second) = cursor.fetchall()
                                        run(cursor, 'UPDATE t SET v = %s WHERE id = %s', (-low, low))
                                        run(cursor, 'UPDATE t SET v = %s WHERE id = %s', (first, high))
                                        run(cursor, 'UPDATE t SET v = %s WHERE id = %s', (second, low))
                                        moves[0] += 1
                except Exception as e:  # pylint: disable=broad-except
                        failures.append(e)

        def hold_up():
                """Keeps the appliers waiting for rows that are live, while the copiers go on elsewhere."""
                try:
                        with destination.connect(db='u') as c, c.cursor() as cursor:
                                while not stop.is_set():
                                        cursor.execute('BEGIN')
                                        run(cursor, 'SELECT COUNT(*) FROM t WHERE id <= %s FOR UPDATE', (3000,))
                                        stop.wait(0.6)
                                        cursor.execute('ROLLBACK')
                                        stop.wait(0.2)
                except Exception as e:  # pylint: disable=broad-except
                        failures.append(e)

        shop = link(source, destination, copy_threads=3, max_copy_rate=3 << 20)
        threads = [threading.Thread(target=wander, args=(seed,)) for seed in range(3)] + [threading.Thread(target=hold_up)]
        for thread in threads[:3]:
                thread.start()
        try:
                shop.operate('Start', flags=1)
                threads[3].start()
                shop.wait_phase('synchronizing', 120)
        finally:
                stop.set()
                for thread in threads:
                        thread.join()
        assert not failures, failures
        print(f'{moves[0]} values moved')
        assert moves[0] > 50
        equal.wait_equal(source, destination, ['u'])


def make_large(source, key):
        source.admin(f'CREATE TABLE r.t (id INT NOT NULL, filler VARBINARY(1000), {key})')
        source.admin("INSERT INTO r.t VALUES (1, REPEAT('x', 1000))")
        for power in range(12):
                source.admin(f'INSERT INTO r.t SELECT id + {1 << power}, filler FROM r.t')


@pytest.mark.parametrize('key', ['PRIMARY KEY (id)', 'KEY (id)'], ids=['in-chunks', 'in-one'])
def test_rate_holds(agent, link, pair, key):
        """From the first row, over restarts of the agent, and also where a table is copied as one because it has no key."""
        source, destination = pair
        source.admin('CREATE DATABASE r')
        make_large(source, key)
        shop = link(source, destination, max_copy_rate=1 << 12)         # 4 MB, 17 minutes
        shop.operate('Start', flags=1)
        for _ in range(3):
                shop.wait(lambda: shop.get('RowsCopied') > 0, 30, 'the first rows')
                assert shop.get('Phase') == 'copying'
                agent.restart()
        shop.wait(lambda: shop.get('RowsCopied') > 0, 30, 'the first rows')
        assert shop.get('Phase') == 'copying' and destination.scalar('SELECT COUNT(*) FROM r.t') < 2000
        shop.wait(lambda: source.scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'agent' AND INFO LIKE '%FROM `r`.`t`%'") <= 1,
                  20, 'the end of what an agent that stopped was reading')
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.wait_phase('synchronizing')
        equal.wait_equal(source, destination, ['r'])


def test_rate_does_not_hold_up_changes(link, pair):
        """A table that is copied as one lets the changes of all tables wait; so a low rate may only make that longer by so much."""
        source, destination = pair
        source.admin('CREATE DATABASE r')
        make_large(source, 'KEY (id)')
        source.admin('CREATE TABLE r.early (id INT PRIMARY KEY)')
        source.admin('INSERT INTO r.early VALUES (1)')
        shop = link(source, destination, max_copy_rate=1 << 12)         # 17 minutes
        shop.operate('Start', flags=1)
        shop.wait(lambda: all(destination.scalar(f'SELECT COUNT(*) FROM r.{table}') for table in ('early', 't')), 60, 'the first rows')
        assert shop.get('Phase') == 'copying'
        source.admin('UPDATE r.t SET id = -7 WHERE id = 7')
        source.admin('INSERT INTO r.early VALUES (2)')
        shop.wait(lambda: destination.scalar('SELECT COUNT(*) FROM r.early') == 2, 240, 'the row of the table that was copied')
        assert destination.scalar('SELECT COUNT(*) FROM r.t WHERE id = -7') == 1
        shop.wait_phase('synchronizing', 60)            # what the rate would still ask for is nothing that the end waits for
        assert shop.call('GetHistory', '(t)', 0).count('which max-copy-rate would make too long') == 1
        equal.wait_equal(source, destination, ['r'])


def test_rate_counts_every_table(link, pair):
        """Also those that are copied as one and in one portion."""
        source, destination = pair
        source.admin('CREATE DATABASE r')
        for n in range(12):
                source.admin(f'CREATE TABLE r.t{n} (v MEDIUMBLOB)')
                source.admin(f"INSERT INTO r.t{n} VALUES (REPEAT('x', 30000)), (REPEAT('y', 30000))")
        shop = link(source, destination, max_copy_rate=1 << 13)         # 90 seconds
        shop.operate('Start', flags=1)
        shop.wait(lambda: shop.get('RowsCopied') > 0, 60, 'the first rows')
        time.sleep(8)
        assert shop.get('Phase') == 'copying' and 0 < shop.get('RowsCopied') < 24
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.wait_phase('synchronizing')
        equal.wait_equal(source, destination, ['r'])


def test_large_row_in_a_chunk_that_is_spoiled(link, pair):
        """A row image without its BLOB cannot be laid over a chunk, which is read again under locks then: also where its only row is
        larger than what is read at a time."""
        source, destination = pair
        source.script(['CREATE DATABASE r', 'CREATE TABLE r.a (id INT PRIMARY KEY, v MEDIUMBLOB)', "INSERT INTO r.a VALUES (1, REPEAT('x', 60000))",
                       'CREATE TABLE r.b (id INT PRIMARY KEY, n INT NOT NULL, v MEDIUMBLOB)', "INSERT INTO r.b VALUES (1, 0, REPEAT('x', 300000))"])
        shop = link(source, destination, copy_threads=1, max_copy_rate=1 << 10)         # a minute between the two
        shop.operate('Start', flags=1)
        shop.wait(lambda: destination.scalar('SELECT COUNT(*) FROM r.a') == 1, 60, 'the first table')
        (table,), = source.admin("SHOW TABLES FROM polarshift LIKE 'wm%'")
        with source.connect() as keeper, keeper.cursor() as keep, source.connect('app', servers.APP_PASSWORD, 'r', autocommit=True) as c, c.cursor() as cursor:
                keep.execute('BEGIN')
                keep.execute(f'SELECT * FROM polarshift.{table} WHERE id >= 100 FOR UPDATE')
                shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 1 << 16}, 0)
                shop.wait(lambda: source.scalar("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'") > 0, 30,
                          'a chunk that is about to be read')
                cursor.execute("SET SESSION binlog_row_image = 'NOBLOB'")
                cursor.execute('UPDATE b SET n = n + 1')
                assert destination.scalar('SELECT COUNT(*) FROM r.b') == 0
                keep.execute('ROLLBACK')
        shop.wait_phase('synchronizing', 60)
        equal.wait_equal(source, destination, ['r'])


def test_rebuilt_behind_the_lock(held, pair):
        """ALTER TABLE is copying the rows to a new table while one without a key is read under its lock: a snapshot does not see them there, and once the
        new table has taken the old one's place no error says so."""
        agent, points = held
        source, destination = pair
        source.script(['CREATE DATABASE k', 'CREATE TABLE k.t (a INT NULL, b INT NULL, filler CHAR(100) NOT NULL, KEY (a), KEY (b)) ENGINE=InnoDB',
                       'INSERT INTO k.t VALUES (1, 1, REPEAT("x", 100))', *['INSERT INTO k.t SELECT a + 1, b * 2 % 1000003, filler FROM k.t'] * 16])
        k = steps.create(agent, source, destination, 'k')
        points.hold('copy.locked.after')
        k.operate('Start', flags=1)
        points.wait('copy.locked.after')
        rebuild = threading.Thread(target=source.admin, args=('ALTER TABLE k.t MODIFY COLUMN b BIGINT NULL',))
        rebuild.start()
        deadline = time.monotonic() + 30
        while not source.admin("SELECT 1 FROM information_schema.processlist WHERE state = 'copy to tmp table'"):
                assert time.monotonic() < deadline
        points.hold('copy.snapshot.after')
        points.release('copy.locked.after')
        points.wait('copy.snapshot.after')
        rebuild.join(4)                                 # it has to wait
        points.release('copy.snapshot.after')
        rebuild.join()
        k.wait_phase('synchronizing')
        source.admin('UPDATE k.t SET b = b + 1 WHERE a < 4')
        k.wait_caught_up()
        equal.wait_equal(source, destination, ['k'])
