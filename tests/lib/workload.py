#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that keep writing to whichever side takes writes, and remember what was acknowledged.

    load = Workload([source, destination], writers=4)        # over the schema of schemas.create_shop()
    load.start()
    load.pause(); ...compare both sides...; load.go_on()     # pause() returns when every writer is idle
    load.stop()
    load.check(destination)                                  # raises AssertionError: lost, doubled or undead rows
    load.switches()                                          # [(from side, to side, seconds without an ack), ...]
    load.acknowledged                                        # transactions

Each transaction carries a row of the table `ledger` with the writer's number and a running number. When its COMMIT is
answered the writer notes it as acknowledged; when the connection dies before the answer, as unknown: such a row may or
may not be there. Everything else must not be there. A writer that is refused (error 1290) or loses its server tries
the sides in turn, at once, as an application behind a connection point would.

    tests/lib/workload.py [--writers N] [--seconds N] [--rate N] --user U --password P [--db DB] PORT [PORT]
"""

import argparse
import collections
import contextlib
import hashlib
import itertools
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

import pymysql

from servers import APP_PASSWORD, die_with_parent

RECORD = struct.Struct('=IBBdd')        # seq, outcome, side, when COMMIT was sent, when it was answered
ACKNOWLEDGED, UNKNOWN, REFUSED = 1, 2, 3
READ_ONLY = {1290, 1836}                # the server is read-only
BUSY = {1205, 1213}                     # lock wait, deadlock: this transaction is over, the connection is not
RUN, PAUSE, STOP = 0, 1, 2
WRITER = '--one-writer'                 # the argument that makes this file the program of one client
STARTING, WRITING, IDLE = 0, 1, 2      # what a writer is doing


def board_path(folder):
        return os.path.join(folder, 'board')


def record_path(folder, number):
        return os.path.join(folder, f'writer-{number}')


def token(writer, seq):
        return hashlib.md5(f'{writer}/{seq}'.encode()).digest()


class Board:
        """Memory that the test shares with its clients: what all writers shall do, and what each of them is doing."""

        def __init__(self, path, writers=None):
                with open(path, 'r+b' if writers is None else 'x+b') as f:
                        if writers is not None:
                                f.truncate((1 + writers) * 4)
                        self.words = memoryview(mmap.mmap(f.fileno(), 0)).cast('i')

        @property
        def command(self):
                return self.words[0]

        @command.setter
        def command(self, command):
                self.words[0] = command

        def doing(self):
                return self.words[1:].tolist()

        def now(self, number, what):
                self.words[1 + number] = what


class Writer:
        """One client: a process that has nothing in common with the test but its board and its file."""

        def __init__(self, number, folder, ports, options):
                self.number = number
                self.ports = ports
                self.board = Board(board_path(folder))
                self.path = record_path(folder, number)
                self.options = options
                self.rng = random.Random(f'{options["seed"]}/{number}')
                self.seq = 0
                self.side = 0
                self.connection = None
                self.orders = collections.deque(maxlen=200)     # own orders, to pay, change and delete
                self.customers = 0

        def run(self):
                with open(self.path, 'ab', buffering=1 << 16) as self.out:
                        while (command := self.board.command) != STOP:
                                if command == PAUSE:
                                        self._disconnect()
                                        self.out.flush()
                                        self.board.now(self.number, IDLE)
                                        time.sleep(0.005)
                                        continue
                                self.board.now(self.number, WRITING)
                                self._transaction()
                                if self.options['pause_between']:
                                        time.sleep(self.options['pause_between'] * self.rng.uniform(0.5, 1.5))
                        self._disconnect()

        def _disconnect(self):
                if self.connection is not None:
                        try:
                                self.connection.close()
                        except pymysql.err.MySQLError:
                                pass
                        self.connection = None

        def _other_side(self):
                self._disconnect()
                self.side = (self.side + 1) % len(self.ports)
                time.sleep(0.003)

        def _connect(self):
                self.connection = pymysql.connect(
                        host='127.0.0.1', port=self.ports[self.side], user=self.options['user'],
                        password=self.options['password'], database=self.options['db'], charset='utf8mb4',
                        autocommit=False, connect_timeout=3, read_timeout=30, write_timeout=30)
                with self.connection.cursor() as cursor:
                        cursor.execute('SELECT COUNT(*), MAX(id) FROM customers WHERE id < 1000000000')
                        self.customers = cursor.fetchone()[1] or 1
                        cursor.execute('SELECT MAX(id) FROM products')
                        self.products = cursor.fetchone()[0] or 1
                self.connection.commit()

        def _note(self, outcome, sent, answered):
                self.out.write(RECORD.pack(self.seq, outcome, self.side, sent, answered))

        def _transaction(self):
                try:
                        if self.connection is None:
                                self._connect()
                except pymysql.err.MySQLError:
                        self._other_side()
                        return
                self.seq += 1
                committing = False
                sent = time.monotonic()
                try:
                        with self.connection.cursor() as cursor:
                                made = self._work(cursor)
                                if self.rng.random() < 0.04:
                                        self._ledger(cursor)
                                        self.connection.rollback()
                                        return
                                if self.rng.random() < 0.5:
                                        self._ledger(cursor)
                                        made = self._work(cursor) or made
                                else:
                                        self._ledger(cursor)
                        committing = True
                        sent = time.monotonic()
                        self.connection.commit()
                        self._note(ACKNOWLEDGED, sent, time.monotonic())
                        if made:
                                self.orders.append(made)
                except pymysql.err.MySQLError as e:
                        code = e.args[0] if e.args else 0
                        if code in READ_ONLY:
                                self._note(REFUSED, sent, time.monotonic())
                                self._other_side()
                        elif code in BUSY or code == 1062:
                                try:
                                        self.connection.rollback()
                                except pymysql.err.MySQLError:
                                        self._disconnect()
                        else:
                                # Killed, server gone, shutting down: COMMIT may have been carried out.
                                self._note(UNKNOWN if committing else REFUSED, sent, time.monotonic())
                                self._other_side()

        def _ledger(self, cursor):
                cursor.execute('INSERT INTO ledger VALUES (%s, %s, UNHEX(%s))',
                               (self.number, self.seq, token(self.number, self.seq).hex()))
                cursor.execute('INSERT INTO ledger_log (writer, seq) VALUES (%s, %s)', (self.number, self.seq))

        def _work(self, cursor):
                """One of what a shop does. Returns the id of a new order."""
                rng = self.rng
                dice = rng.random()
                if dice < 0.30:
                        return self._order(cursor)
                if dice < 0.45:
                        cursor.execute('UPDATE stock SET quantity = quantity - %s WHERE product_id = %s '
                                       'AND warehouse = %s', (rng.randrange(1, 5), rng.randint(1, self.products),
                                                              rng.randrange(3)))
                elif dice < 0.57 and self.orders:
                        order = rng.choice(self.orders)
                        cursor.execute('UPDATE orders SET status = %s, flags = %s WHERE id = %s',
                                       (rng.randint(1, 5), rng.randrange(8), order))
                        cursor.execute('INSERT INTO payments (order_id, method, amount, reference, paid_at, receipt) '
                                       'SELECT id, %s, total, UNHEX(%s), NOW(6), %s FROM orders WHERE id = %s',
                                       (rng.randint(1, 3), rng.randbytes(16).hex(),
                                        None if rng.random() < .8 else 'receipt ' * rng.randrange(50), order))
                elif dice < 0.67:                       # money moves; the sum of all balances stays zero
                        a, b = sorted((rng.randint(1, self.customers), rng.randint(1, self.customers)))
                        amount = rng.randrange(1, 10000)
                        cursor.execute('UPDATE customers SET balance = balance - %s / 100 WHERE id = %s', (amount, a))
                        if cursor.rowcount:
                                cursor.execute('UPDATE customers SET balance = balance + %s / 100 WHERE id = %s',
                                               (amount, b))
                                if not cursor.rowcount and a != b:
                                        cursor.execute('UPDATE customers SET balance = balance + %s / 100 '
                                                       'WHERE id = %s', (amount, a))
                elif dice < 0.77:
                        cursor.execute('INSERT INTO customers (email, name, country, created) '
                                       'VALUES (%s, %s, %s, NOW())',
                                       (f'w{self.number}.{self.seq}.{rng.random()}@example.com',
                                        rng.choice(['Zoë', 'Žofie', 'Иван', '李雷', '😀 Smiley', "O'Hara"]), 'XX'))
                elif dice < 0.82:
                        cursor.execute('UPDATE customers SET email = CONCAT(%s, id, %s), notes = %s WHERE id = %s',
                                       ('m', f'.{self.number}.{self.seq}.{rng.random()}@example.org',
                                        None if rng.random() < .5 else 'note ' * rng.randrange(40),
                                        rng.randint(1, self.customers)))
                elif dice < 0.88 and len(self.orders) > 20:
                        order = self.orders.popleft()
                        cursor.execute('DELETE FROM payments WHERE order_id = %s', (order,))
                        cursor.execute('DELETE FROM order_lines WHERE order_id = %s', (order,))
                        cursor.execute('DELETE FROM orders WHERE id = %s', (order,))
                elif dice < 0.92 and self.orders:       # part of a primary key changes
                        cursor.execute('UPDATE order_lines SET line = line + 100 WHERE order_id = %s AND line = 1',
                                       (rng.choice(self.orders),))
                elif dice < 0.96:
                        first = rng.randint(1, max(1, self.products - 10))
                        cursor.execute('UPDATE stock SET counted = CURDATE(), quantity = quantity + 3 '
                                       'WHERE product_id BETWEEN %s AND %s', (first, first + rng.randrange(8)))
                else:
                        cursor.execute('UPDATE products SET price = price + 0.01, title = CONCAT(LEFT(title, 60), %s) '
                                       'WHERE id = %s', (f' v{self.seq}', rng.randint(1, self.products)))
                return None

        def _order(self, cursor):
                rng = self.rng
                cursor.execute('INSERT INTO orders (customer_id, status, flags, placed, total) '
                               'VALUES (%s, 1, %s, NOW(3), 0)', (rng.randint(1, self.customers), rng.randrange(8)))
                order = cursor.lastrowid
                lines = [(order, n + 1, rng.randint(1, self.products), rng.randrange(1, 5), rng.randrange(10000) / 100)
                         for n in range(rng.randrange(1, 6))]
                cursor.executemany('INSERT INTO order_lines VALUES (%s, %s, %s, %s, %s)', lines)
                cursor.execute('UPDATE orders SET total = %s WHERE id = %s',
                               (round(sum(n[3] * n[4] for n in lines), 2), order))
                return order


class Workload:
        def __init__(self, servers, writers=4, *, db='shop', user='app', password=APP_PASSWORD, seed=None, rate=None):
                """`servers`: objects with .port, or ports; the first one is tried first. `rate`: transactions per
                second of all writers together (default: as fast as they can)."""
                self.ports = [s if isinstance(s, int) else s.port for s in servers]
                self.seed = random.randrange(1 << 32) if seed is None else seed
                self.folder = tempfile.TemporaryDirectory(prefix='pw-')
                self.board = Board(board_path(self.folder.name), writers)
                self.number = writers
                self.db = db
                self.options = {'db': db, 'user': user, 'password': password, 'seed': self.seed,
                                'pause_between': writers / rate if rate else 0}
                self.writers = []

        def start(self):
                """Returns when every writer is at it."""
                self.board.command = RUN
                for n in range(self.number):
                        with open(record_path(self.folder.name, n) + '.stderr', 'xb') as errors:
                                process = subprocess.Popen([sys.executable, os.path.abspath(__file__), WRITER], stdin=subprocess.PIPE, stdout=errors,
                                                           stderr=errors)
                        self.writers.append(process)
                        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:      # one that died at once is told of below
                                stdin.write(json.dumps([n, self.folder.name, self.ports, self.options]).encode())
                self._wait(lambda: STARTING not in self.board.doing(), 60, 'the writers do not start')
                return self

        def __enter__(self):
                return self.start()

        def __exit__(self, *exc):
                self.stop(check=exc[0] is None)

        def pause(self, timeout=60):
                """Returns when every writer has finished its transaction and closed its connection."""
                self._mark_writing()
                self.board.command = PAUSE
                self._wait(lambda: set(self.board.doing()) == {IDLE}, timeout, 'the writers do not come to rest')

        def go_on(self):
                self._mark_writing()
                self.board.command = RUN

        def _mark_writing(self):
                for n in range(self.number):
                        self.board.now(n, WRITING)

        def _wait(self, condition, timeout, complaint):
                deadline = time.monotonic() + timeout
                while not condition():
                        for n, process in enumerate(self.writers):
                                assert process.poll() is None, self._ended(n)
                        assert time.monotonic() < deadline, complaint
                        time.sleep(0.005)

        def _ended(self, n):
                with open(record_path(self.folder.name, n) + '.stderr', errors='replace') as f:
                        return f'writer {n} ended with {self.writers[n].returncode}: {f.read()}'

        def stop(self, check=True):
                self.board.command = STOP
                for process in self.writers:
                        try:
                                process.wait(45)
                        except subprocess.TimeoutExpired:
                                process.kill()
                                process.wait()
                for n, process in enumerate(self.writers):
                        assert not check or process.returncode == 0, self._ended(n)

        # ---- what happened

        def records(self):
                """[(writer, seq, outcome, side, sent, answered)]; the writers must be paused or stopped to see all."""
                result = []
                for n in range(self.number):
                        try:
                                with open(record_path(self.folder.name, n), 'rb') as f:
                                        data = f.read()
                        except FileNotFoundError:
                                continue
                        data = data[:len(data) - len(data) % RECORD.size]
                        result += [(n, *fields) for fields in RECORD.iter_unpack(data)]
                return result

        @property
        def acknowledged(self):
                return sum(1 for r in self.records() if r[2] == ACKNOWLEDGED)

        def switches(self):
                """[(from side, to side, seconds)]: from the last acknowledgement on the one side to the first COMMIT
                acknowledged on the other one, over all writers."""
                acks = sorted((r[4], r[3], r[5]) for r in self.records() if r[2] == ACKNOWLEDGED)   # a writer may note an answer late
                turns = [(side, [answered for _, _, answered in turn]) for side, turn in itertools.groupby(acks, lambda ack: ack[1])]
                return [(side, after, min(first) - max(last)) for (side, last), (after, first) in zip(turns, turns[1:])]

        def refused(self, side):
                """How many transactions a side refused."""
                return sum(1 for r in self.records() if r[2] == REFUSED and r[3] == side)

        def check(self, server):
                """Call it stopped: every acknowledged transaction is there, none twice, nothing undead, and money was
                neither made nor lost. Returns (acknowledged, unknown)."""
                outcomes = {(r[0], r[1]): r[2] for r in self.records()}
                acknowledged = {k for k, v in outcomes.items() if v == ACKNOWLEDGED}
                unknown = {k for k, v in outcomes.items() if v == UNKNOWN}
                rows = server.admin('SELECT writer, seq, token FROM ledger', db=self.db)
                there = {(w, s) for w, s, _ in rows}
                log = collections.Counter((w, s) for w, s in server.admin('SELECT writer, seq FROM ledger_log',
                                                                          db=self.db))
                problems = []
                for title, found in (
                        ('acknowledged, but missing', acknowledged - there),
                        ('neither acknowledged nor unknown, but there', there - acknowledged - unknown),
                        ('there with a wrong token', {(w, s) for w, s, t in rows if t != token(w, s)}),
                        ('acknowledged, but missing in the log', acknowledged - set(log)),
                        ('in the log twice', {k for k, n in log.items() if n > 1}),
                        ('in the log but not in the ledger', set(log) - there)):
                        if found:
                                problems.append(f'{len(found)} transactions {title}: {sorted(found)[:5]}')
                balance = server.scalar('SELECT SUM(balance) FROM customers', db=self.db)
                if balance:
                        problems.append(f'the sum of all balances is {balance}, not 0')
                assert not problems, f'on {server.flavor}: ' + '; '.join(problems)
                return len(acknowledged), len(unknown)


def write():
        """The program of one client. It ends with the test, whatever becomes of that."""
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        number, folder, ports, options = json.load(sys.stdin)
        Writer(number, folder, ports, options).run()


def main():
        parser = argparse.ArgumentParser(description='Writes until it is stopped; prints what was acknowledged.')
        parser.add_argument('--writers', type=int, default=4)
        parser.add_argument('--seconds', type=float, default=1e9)
        parser.add_argument('--rate', type=float)
        parser.add_argument('--user', required=True)
        parser.add_argument('--password', default='')
        parser.add_argument('--db', default='shop')
        parser.add_argument('port', type=int, nargs='+')
        args = parser.parse_args()
        load = Workload(args.port, args.writers, db=args.db, user=args.user, password=args.password, rate=args.rate)
        for s in (signal.SIGINT, signal.SIGTERM):
                signal.signal(s, lambda *_: sys.exit())
        end = time.monotonic() + args.seconds
        try:
                with load:
                        while time.monotonic() < end:
                                time.sleep(0.1)
        finally:
                load.stop(check=False)
                print(f'{load.acknowledged} transactions acknowledged')
                for before, after, seconds in load.switches():
                        print(f'side {before} to side {after}: {seconds * 1000:.0f} ms without an acknowledged write')


if __name__ == '__main__':
        write() if sys.argv[1:] == [WRITER] else main()
