# SPDX-License-Identifier: LGPL-2.1-or-later
"""One large row, and one large transaction, through a migration and back: for tests/mysql/test_sizes.py in small, for tests/bench/sizes
in full. Each prints what it took and the agent's high-water mark."""

import time

import equal
import servers
import steps

TIMEOUT = 3600


def config(row):
        """For servers that are to hold rows of ROW bytes: a packet holds a value with each byte escaped, and 5.6 wants a redo log ten times
        as large as a row."""
        packet = min(1 << 30, 2 * row + (16 << 20)) // 1024 * 1024
        return [f'max_allowed_packet={packet}', f'innodb_log_file_size={max(row * 8 >> 20, 96)}M']


class Report:
        def __init__(self, agent):
                self.agent = agent
                self.again()

        def again(self):
                self.began = time.monotonic()

        def __call__(self, title):
                high = self.agent.memory_high_water()
                print(f'{title}: {time.monotonic() - self.began:.1f} s, agent at most {high >> 20} MiB', flush=True)
                self.again()
                return high


def session(server):
        c = server.connect('app', servers.APP_PASSWORD, 'large', read_timeout=TIMEOUT, write_timeout=TIMEOUT)
        with c.cursor() as cursor:
                cursor.execute('SET SESSION net_read_timeout = 3600, net_write_timeout = 3600')
        return c


def random_bytes(cursor, size):
        """@b: that many bytes that no packing makes smaller, made by the server."""
        cursor.execute('SET @b = REPEAT(UNHEX(SHA2(RAND(), 512)), %s)', (size // 64,))


def large_rows(agent, link, source, destination, size):
        """Copied, then added, changed, moved to another key and deleted, on either side; with bytes that have to be escaped all of them, too."""
        report = Report(agent)
        source.script(['CREATE DATABASE large', 'CREATE TABLE large.t (id INT PRIMARY KEY, n INT, body LONGBLOB)'])
        with session(source) as c, c.cursor() as cursor:
                random_bytes(cursor, size)
                cursor.execute('INSERT INTO t VALUES (1, 1, @b), (2, 2, NULL)')
        shop = link(source, destination)
        steps.start(shop, TIMEOUT)
        equal.wait_equal(source, destination, ['large'], TIMEOUT)
        report(f'row of {size >> 20} MiB copied')
        for side, other, method in ((source, destination, 'Switch'), (destination, source, 'Rollback')):
                with session(side) as c, c.cursor() as cursor:
                        random_bytes(cursor, size)
                        for sql in ('INSERT INTO t VALUES (3, 1, @b)', 'UPDATE t SET n = n + 1 WHERE id = 1',
                                    'UPDATE t SET id = 4 WHERE id = 3', 'UPDATE t SET body = @b WHERE id = 2',
                                    f"INSERT INTO t VALUES (5, 1, REPEAT('\\'', {size}))", 'DELETE FROM t WHERE id IN (4, 5)'):
                                cursor.execute(sql)
                equal.wait_equal(side, other, ['large'], TIMEOUT)
                report(f'changes of it from {side.flavor} to {other.flavor}')
                steps.change_side(shop, method, TIMEOUT)
        equal.wait_equal(source, destination, ['large'], TIMEOUT)
        high = report('switched and rolled back')
        shop.operate('Cancel')
        return high


def large_transaction(agent, link, source, destination, rows):
        """One transaction that adds ROWS rows and one that changes them; and after the switch one that deletes and one that adds them."""
        report = Report(agent)
        source.script(['CREATE DATABASE large', 'CREATE TABLE large.seed (id INT PRIMARY KEY)',
                       'CREATE TABLE large.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, body VARBINARY(100))'])
        with session(source) as c, c.cursor() as cursor:
                cursor.executemany('INSERT INTO seed VALUES (%s)', [(i,) for i in range(1000)])
        shop = link(source, destination)
        steps.start(shop)
        add = ('INSERT INTO t (n, body) SELECT a.id, REPEAT(CHAR(97 + a.id %% 26), 60 + b.id %% 40) '
               'FROM seed a JOIN seed b JOIN seed c WHERE b.id < 100 AND c.id < 100 LIMIT %s')
        add = ('added', add, (rows,))
        change, delete = ('changed', 'UPDATE t SET n = n + 1', ()), ('deleted', 'DELETE FROM t WHERE id > 10', ())
        for side, other, method, transactions in ((source, destination, 'Switch', (add, change)),
                                                  (destination, source, 'Rollback', (delete, add))):
                with session(side) as c, c.cursor() as cursor:
                        for title, sql, values in transactions:
                                report.again()
                                cursor.execute(sql, values)
                                c.commit()
                                report(f'{rows} rows {title} on {side.flavor}')
                                equal.wait_equal(side, other, ['large'], TIMEOUT)
                                report(f'until {other.flavor} has them and was compared')
                steps.change_side(shop, method, TIMEOUT)
        high = report('switched and rolled back')
        shop.operate('Cancel')
        return high
