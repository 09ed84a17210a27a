# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables whose foreign keys cascade, and clients that use them as hard as they can.

    families.create(source, rows=2000)                       # database `kin`
    with families.Writers([source, destination]) as load:    # they follow the side that takes writes
        load.pause(); ...compare...; load.go_on()
    load.done                                                # committed transactions

Several levels, SET NULL, a key that a cascade changes, a key of two columns, text keys, tables that refer to themselves, two
parents, plain foreign keys into the family and out of it, and a table that has nothing to do with it."""

import random
import threading
import time

import pymysql

import servers

TABLES = [
        'CREATE TABLE account (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40))',
        'CREATE TABLE top (id INT PRIMARY KEY AUTO_INCREMENT, code INT, v INT, UNIQUE KEY (code))',
        'CREATE TABLE mid (id INT PRIMARY KEY AUTO_INCREMENT, top_id INT, account_id INT, v INT, '
        'FOREIGN KEY (top_id) REFERENCES top (id) ON DELETE CASCADE ON UPDATE CASCADE, '
        'FOREIGN KEY (account_id) REFERENCES account (id))',
        'CREATE TABLE leaf (id INT PRIMARY KEY AUTO_INCREMENT, mid_id INT, code INT, body VARBINARY(200), '
        'FOREIGN KEY (mid_id) REFERENCES mid (id) ON DELETE SET NULL ON UPDATE CASCADE, '
        'FOREIGN KEY (code) REFERENCES top (code) ON DELETE SET NULL ON UPDATE SET NULL)',
        'CREATE TABLE tree (id INT PRIMARY KEY AUTO_INCREMENT, up INT, v INT, '
        'FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)',
        'CREATE TABLE site (a INT, b VARCHAR(20) CHARACTER SET utf8, v INT, PRIMARY KEY (a, b))',
        'CREATE TABLE page (a INT NOT NULL, b VARCHAR(20) CHARACTER SET utf8 NOT NULL, n INT NOT NULL, v INT, PRIMARY KEY (a, b, n), '
        'FOREIGN KEY (a, b) REFERENCES site (a, b) ON DELETE CASCADE ON UPDATE CASCADE)',
        'CREATE TABLE visit (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20) CHARACTER SET utf8, n INT, tree_id INT, '
        'FOREIGN KEY (a, b, n) REFERENCES page (a, b, n) ON DELETE CASCADE ON UPDATE CASCADE, '
        'FOREIGN KEY (tree_id) REFERENCES tree (id) ON DELETE SET NULL)',
        'CREATE TABLE audit (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20) CHARACTER SET utf8, '
        'FOREIGN KEY (a, b) REFERENCES site (a, b))',
        'CREATE TABLE alone (id INT PRIMARY KEY AUTO_INCREMENT, v INT)',
]
NAMES = ['ö', 'a', 'B', 'ß', 'x y', "it's", 'é', 'z']


def create(server, rows=1000, seed=1, step=300):
        """STEP: how far back a branch of the tree begins at most; 0: branches do not branch again."""
        rng = random.Random(seed)

        def branch_off(i):
                return max(1, i - rng.randrange(1, step)) if step else i - i % 7

        server.admin('CREATE DATABASE kin')
        server.script(['SET FOREIGN_KEY_CHECKS = 1', *TABLES], db='kin')
        with server.connect('app', servers.APP_PASSWORD, 'kin', charset='utf8', autocommit=False) as c, c.cursor() as cursor:
                cursor.executemany('INSERT INTO account (name) VALUES (%s)', [(str(i),) for i in range(50)])
                cursor.executemany('INSERT INTO top (id, code, v) VALUES (%s, %s, 0)', [(i, i) for i in range(1, rows)])
                cursor.executemany('INSERT INTO mid (id, top_id, account_id, v) VALUES (%s, %s, %s, 0)',
                                   [(i, rng.randrange(1, rows), rng.randrange(1, 50)) for i in range(1, 2 * rows)])
                cursor.executemany('INSERT INTO leaf (mid_id, code, body) VALUES (%s, %s, %s)',
                                   [(rng.randrange(1, 2 * rows), rng.randrange(1, rows), b'x' * 100) for _ in range(4 * rows)])
                cursor.executemany('INSERT INTO tree (id, up, v) VALUES (%s, %s, 0)',
                                   [(i, branch_off(i) if i % 7 and i > 7 else None) for i in range(1, 2 * rows)])
                cursor.executemany('INSERT INTO site VALUES (%s, %s, 0)', [(i, n) for i in range(rows // 8) for n in NAMES])
                cursor.executemany('INSERT INTO page VALUES (%s, %s, %s, 0)',
                                   [(i, n, k) for i in range(rows // 8) for n in NAMES for k in range(2)])
                cursor.executemany('INSERT INTO visit (a, b, n, tree_id) VALUES (%s, %s, %s, %s)',
                                   [(rng.randrange(rows // 8), rng.choice(NAMES), rng.randrange(2), rng.randrange(1, 2 * rows))
                                    for _ in range(2 * rows)])
                cursor.executemany('INSERT INTO audit (a, b) VALUES (%s, %s)',
                                   [(rng.randrange(rows // 8), rng.choice(NAMES)) for _ in range(rows // 10)])
                c.commit()


class Transactions:
        """One random transaction after the other, as lists of (statement, arguments)."""

        def __init__(self, rng, rows, without):
                self.rng = rng
                self.rows = rows
                self.kinds = [getattr(self, n) for n in dir(self) if n.startswith('do_') and n[3:] not in without]

        def some(self, factor=1):
                return self.rng.randrange(1, self.rows * factor)

        def site(self):
                return self.rng.randrange(self.rows // 8), self.rng.choice(NAMES)

        def next(self):
                statements = []
                for _ in range(self.rng.choice([1, 1, 1, 2, 5])):
                        statements += self.rng.choice(self.kinds)()
                if self.rng.random() < 0.1:
                        statements = [('SET foreign_key_checks = 0', ())] + statements
                return statements

        def do_add(self):
                return [('INSERT INTO top (code, v) VALUES (%s, 1)', (self.some(3),)),
                        ('INSERT INTO mid (top_id, account_id, v) VALUES (LAST_INSERT_ID(), %s, 1)', (self.rng.randrange(1, 50),)),
                        ('INSERT INTO leaf (mid_id, code, body) VALUES (LAST_INSERT_ID(), %s, %s)',
                         (self.some(), self.rng.randbytes(30)))]

        def do_add_children(self):
                return [('INSERT INTO mid (top_id, v) VALUES (%s, 2), (%s, 3)', (self.some(), self.some())),
                        ('INSERT INTO leaf (mid_id, code) VALUES (%s, %s)', (self.some(2), self.some()))]

        def do_add_branches(self):
                return [('INSERT INTO tree (up, v) VALUES (%s, 1), (%s, 1)', (self.some(2), self.some(2))),
                        ('INSERT INTO tree (up, v) VALUES (LAST_INSERT_ID(), 2)', ())]

        def do_add_site(self):
                a, b = self.site()
                return [('REPLACE INTO site VALUES (%s, %s, %s)', (a, b, self.some())),
                        ('INSERT IGNORE INTO page VALUES (%s, %s, 0, 9), (%s, %s, 1, 9)', (a, b, a, b)),
                        ('INSERT INTO visit (a, b, n, tree_id) VALUES (%s, %s, 1, %s)', (a, b, self.some(2)))]

        def do_delete_top(self):
                first = self.some()
                return [('DELETE FROM top WHERE id BETWEEN %s AND %s', (first, first + self.rng.choice([0, 0, 2])))]

        def do_delete_mid(self):
                return [('DELETE FROM mid WHERE id = %s', (self.some(2),))]

        def do_delete_tree(self):
                return [('DELETE FROM tree WHERE id IN (%s, %s, %s)', tuple(self.some(2) + self.rows // 2 for _ in range(3)))]

        def do_delete_branch_first(self):
                a = self.some(2)
                return [('DELETE FROM tree WHERE up = %s', (a,)), ('DELETE FROM tree WHERE id = %s', (a,))]

        def do_delete_site(self):
                return [('DELETE FROM site WHERE a = %s AND b = %s', self.site())]

        def do_delete_both(self):
                return [('DELETE top, mid FROM top JOIN mid ON mid.top_id = top.id WHERE top.id = %s', (self.some(),))]

        def do_delete_children_first(self):
                top = self.some()
                return [('DELETE FROM mid WHERE top_id = %s', (top,)), ('DELETE FROM top WHERE id = %s', (top,))]

        def do_move_top(self):
                return [('UPDATE top SET id = %s, v = v + 1 WHERE id = %s', (self.some(3), self.some()))]

        def do_change_code(self):
                return [('UPDATE top SET code = %s WHERE id = %s', (self.some(3), self.some()))]

        def do_move_mid(self):
                return [('UPDATE mid SET id = %s WHERE id = %s', (self.some(4), self.some(2)))]

        def do_rename_site(self):
                a, b = self.site()
                return [('UPDATE site SET b = %s, v = v + 1 WHERE a = %s AND b = %s', (self.rng.choice([b.upper(), 'new', b.lower()]), a, b))]

        def do_move_site(self):
                a, b = self.site()
                return [('UPDATE site SET a = a + 1 WHERE a = %s AND b = %s', (a, b))]

        def do_upsert(self):
                return [('INSERT INTO top (id, code, v) VALUES (%s, %s, 0) ON DUPLICATE KEY UPDATE id = %s, v = v + 1',
                         (self.some(), self.some(), self.some(3)))]

        def do_replace(self):
                return [('REPLACE INTO top (id, code, v) VALUES (%s, %s, 5)', (self.some(), self.some()))]

        def do_plain(self):
                return [('UPDATE top SET v = v + 1 WHERE id BETWEEN %s AND %s + 5', (self.some(),) * 2),
                        ('UPDATE mid SET v = v + 1 WHERE id = %s', (self.some(2),)),
                        ('UPDATE leaf SET body = %s WHERE id = %s', (self.rng.randbytes(20), self.some(4))),
                        ('INSERT INTO alone (v) VALUES (%s)', (self.some(),)),
                        ('UPDATE account SET name = %s WHERE id = %s', (str(self.some()), self.rng.randrange(1, 50)))]

        def do_audit(self):
                return [('DELETE FROM audit WHERE id = %s', (self.some(),)),
                        ('INSERT INTO audit (a, b) VALUES (%s, %s)', self.site())]


class Writers:
        """Threads that write until they are stopped. Refused statements (foreign keys, duplicates, deadlocks) undo their transaction."""

        EXPECTED = {1062, 1451, 1452, 1205, 1213, 1761, 1762, 3008}
        REFUSED = {1290, 1836, 2006, 2013, 1927, 0}     # a side that takes no writes, and a session that was ended

        def __init__(self, sides, writers=4, rows=1000, seed=None, without=()):
                self.without = without
                self.sides = sides
                self.rows = rows
                self.seed = seed or random.randrange(1, 1 << 32)
                self.done = self.side = 0
                self.stopping, self.running = threading.Event(), threading.Event()
                self.running.set()
                self.idle = threading.Semaphore(0)
                self.failures = []
                self.lock = threading.Lock()
                self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(writers)]

        def __enter__(self):
                print(f'families: seed {self.seed}')
                for thread in self.threads:
                        thread.start()
                return self

        def __exit__(self, *exc):
                self.stopping.set()
                self.running.set()
                for thread in self.threads:
                        thread.join()
                if not exc[0]:
                        assert not self.failures, self.failures

        def pause(self):
                self.running.clear()
                for _ in self.threads:
                        assert self.idle.acquire(timeout=60), 'a writer does not come to rest'
                assert not self.failures, self.failures

        def go_on(self):
                self.running.set()

        def _run(self, number):
                try:
                        transactions = Transactions(random.Random(f'{self.seed}/{number}'), self.rows, self.without)
                        while not self.stopping.is_set():
                                side = self.side
                                try:
                                        self._connected(side, transactions)
                                except pymysql.err.MySQLError as e:     # at any statement, a ROLLBACK too
                                        if e.args[0] not in self.REFUSED:
                                                raise
                                        time.sleep(0.02)
                                        self.side = (side + 1) % len(self.sides) if side == self.side else self.side
                except Exception as e:  # pylint: disable=broad-except
                        self.failures.append(e)
                        self.idle.release()

        def _connected(self, side, transactions):
                with self.sides[side].connect('app', servers.APP_PASSWORD, 'kin', charset='utf8', autocommit=False) as c:
                        while not self.stopping.is_set():
                                if not self.running.is_set():
                                        self.idle.release()
                                        self.running.wait()
                                        continue
                                try:
                                        with c.cursor() as cursor:
                                                cursor.execute('SET foreign_key_checks = 1')
                                                for sql, values in transactions.next():
                                                        cursor.execute(sql, values)
                                        c.commit()
                                        with self.lock:
                                                self.done += 1
                                except pymysql.err.MySQLError as e:
                                        if e.args[0] not in self.EXPECTED:
                                                raise
                                        c.rollback()
