# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables without a primary key and without a unique key of NOT NULL columns: their rows are a multiset. Nothing here is idempotent: what is
applied twice, or not at all, shows in the numbers of equal rows."""

import os
import random
import threading
import time

import pymysql
import pytest

import equal
import schemas
import servers
import steps

SEED = int(os.environ.get('POLARSHIFT_TEST_SEED', '0')) or random.randrange(1, 1 << 32)
DB = 'keyless'

# Rows that a comparison of less than all bytes takes for each other, and tables that leave little to look for rows by.
# name → (columns, rows)
PITFALLS = {
    'letters': ('a VARCHAR(20) CHARACTER SET utf8 COLLATE utf8_general_ci, b CHAR(8) CHARACTER SET latin1, KEY (a)',
                ["('a','x')", "('A','x')", "('a ','x')", "('a','X')", "('a  ','x')", "('',NULL)", "(' ','')", "(NULL,NULL)", "('\xe4','x')",
                 "('a\\n','x')", "('it\\'s','\\\\')"]),
    'bytes': ('a BINARY(4), b VARBINARY(8)',
              ["('a','b')", "('a','b\\0')", "('a\\0','b')", "('a ','b')", "('','')", "('',NULL)", "('A','B')"]),
    'zeros': ('d DOUBLE, f FLOAT', ['(0,0)', '(-0e0,0)', '(0,-0e0)', '(-0e0,-0e0)', '(NULL,0)', '(0.1,0.1)', '(1e300,1.1754944e-38)']),
    'few_values': ("e ENUM('','a','b'), s SET('x','y','z'), b BIT(9), y YEAR",
                   ["('',0,b'0',0)", "('a','x',b'1',2014)", "('b','x,y',b'111111111',1901)", "(0,7,b'1',2155)", '(NULL,NULL,NULL,NULL)']),
    'wide_text': ('t TEXT CHARACTER SET ucs2, g TEXT CHARACTER SET gbk',
                  ["(_utf8'a',_utf8'a')", "(_utf8'A',_utf8'a')", "(_utf8 x'E4B8AD',_utf8 x'E8AAA0')", "(NULL,_utf8 x'E4B8AD')"]),
    'large': ('body LONGBLOB', ["(REPEAT('x',3000000))", "(CONCAT(REPEAT('x',2999999),'y'))", "('')", '(NULL)', "(REPEAT('\\0',70000))"]),
    'dates': ('d DATE, t TIME(3), w DATETIME, z TIMESTAMP NULL', [
        "('0000-00-00','00:00:00.001','0000-00-00 00:00:00','0000-00-00 00:00:00')", "('2014-00-00','-00:00:00.001',NULL,NULL)",
        "('2013-02-31','-838:59:58.999','2014-03-30 02:30:00','2014-10-26 01:30:00')", "(NULL,'838:59:59',NULL,'1970-01-01 00:00:01')"]),
    'nullable_unique': ('u INT, v VARCHAR(9), n INT, UNIQUE KEY u (u, v)',
                        ["(1,'a',1)", "(2,'a',1)", "(3,'b',1)", "(4,NULL,1)", "(4,NULL,1)", '(NULL,NULL,2)', '(NULL,NULL,2)']),
    'float_key': ('f FLOAT NOT NULL, n INT, PRIMARY KEY (f)', [f'({x},1)' for x in ('0.1', '-5', '3.40282347e38', '1e-45', '16777217')]),
    'counted': ('n INT NOT NULL AUTO_INCREMENT, v VARCHAR(9), KEY (n)', ["(1,'a')", "(1,'a')", "(2,'b')"]),
    'hidden': ('v INT, `__#alibaba_rds_row_id#__` BIGINT', ['(1,1)', '(1,1)', '(1,2)']),
}


def session(server, user='root', password=''):
        c = server.connect(user, password, db=DB)
        with c.cursor() as cursor:
                for sql in schemas.SESSION:
                        cursor.execute(sql)
        return c


def parts():
        return schemas.split_columns(schemas.column_types())


def insert_types(cursor, rng, t, count):
        """Rows of every type; most of them several times."""
        rows = [schemas.all_types_row(rng, parts()[t], rng.randrange(20)) for _ in range(count)]
        for row in rows:
                row = b'(' + b','.join(map(schemas.literal, row)) + b')'
                cursor.execute(f'INSERT INTO types_{t} VALUES '.encode() + b','.join([row] * rng.choice((1, 1, 2, 3))))


def create(server, rng, rows=25):
        server.admin(f'CREATE DATABASE {DB} DEFAULT CHARACTER SET latin1')
        with session(server) as c, c.cursor() as cursor:
                for name, (columns, values) in PITFALLS.items():
                        cursor.execute(f'CREATE TABLE {name} ({columns}) ENGINE=InnoDB')
                        for value in values:
                                more = 0 if 'UNIQUE' in columns or 'PRIMARY' in columns else 2
                                cursor.execute(f'INSERT INTO {name} VALUES '.encode()
                                               + b','.join([value.encode('latin1')] * (1 + more)))
                for t, part in enumerate(parts()):
                        cursor.execute(f'CREATE TABLE types_{t} (' + ', '.join(f'{n} {kind}' for n, kind, _ in part)
                                       + ') ENGINE=InnoDB ROW_FORMAT=DYNAMIC')
                        insert_types(cursor, rng, t, rows)


def churn(server, rng, rounds=3):
        """Rows come, go and change in all tables; the same ones again and again, and in one transaction."""
        with session(server) as c, c.cursor() as cursor:
                for _ in range(rounds):
                        for name, (columns, values) in PITFALLS.items():
                                cursor.execute('BEGIN')
                                verb = 'INSERT IGNORE' if 'UNIQUE' in columns or 'PRIMARY' in columns else 'INSERT'
                                for value in rng.sample(values, 2):
                                        cursor.execute(f'{verb} INTO {name} VALUES '.encode() + value.encode('latin1'))
                                cursor.execute(f'DELETE FROM {name} ORDER BY RAND() LIMIT 2')
                                if verb == 'INSERT':     # one row becomes like another one
                                        column = columns.split()[0]
                                        cursor.execute(f'SELECT {column} FROM {name} ORDER BY RAND() LIMIT 1')
                                        cursor.execute(f'UPDATE {name} SET {column} = (SELECT {column} FROM (SELECT {column} FROM {name} '
                                                       'ORDER BY RAND() LIMIT 1) x) ORDER BY RAND() LIMIT 1')
                                cursor.execute('ROLLBACK' if rng.random() < 0.1 else 'COMMIT')
                        for t, part in enumerate(parts()):
                                cursor.execute('BEGIN')
                                insert_types(cursor, rng, t, 3)
                                row = schemas.all_types_row(rng, part, rng.randrange(20))
                                cursor.execute(f'UPDATE types_{t} SET '.encode() + b', '.join(
                                    part[j][0].encode() + b'=' + schemas.literal(row[j]) for j in rng.sample(range(len(part)), min(5, len(part))))
                                    + b' ORDER BY RAND() LIMIT 5')
                                cursor.execute(f'DELETE FROM types_{t} ORDER BY RAND() LIMIT 5')
                                cursor.execute('COMMIT')
                        # Unique values wander between rows without another name.
                        cursor.execute('BEGIN')
                        for u, v in ((1, 2), (2, 3), (3, 1)):
                                cursor.execute(f"UPDATE nullable_unique SET u = -{u} WHERE u = {u}")
                                cursor.execute(f"UPDATE nullable_unique SET u = {u} WHERE u = {v}")
                                cursor.execute(f"UPDATE nullable_unique SET u = {v} WHERE u = -{u}")
                        cursor.execute('COMMIT')


def there_and_back(source, destination, shop):
        rng = random.Random(SEED)
        print(f'seed {SEED}')
        create(source, rng)
        steps.start(shop)
        equal.wait_equal(source, destination, [DB])
        churn(source, rng)
        equal.wait_equal(source, destination, [DB])
        steps.change_side(shop, 'Switch')
        churn(destination, rng)
        equal.wait_equal(source, destination, [DB])
        steps.change_side(shop, 'Rollback')
        churn(source, rng, rounds=1)
        equal.wait_equal(source, destination, [DB])


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL56, servers.MySQL97], ids=['mariadb', 'mysql56', 'mysql97'])
def test_every_type(server, link, kind):
        missing = kind.missing() if hasattr(kind, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind)
        there_and_back(source, destination, link(source, destination))


def simple(source, rows, more=''):
        """A table of few values: every row is there several times."""
        source.admin(f'CREATE DATABASE {DB}')
        source.admin(f'CREATE TABLE {DB}.t (a INT, b VARCHAR(20), c DOUBLE{more}) ENGINE=InnoDB')
        source.admin(f"INSERT INTO {DB}.t (a, b, c) VALUES " + ','.join(f"({i % 40 or 'NULL'},'v{i % 7}',{i % 3})" for i in range(rows)))


def differences(shop):
        shop.operate('Verify')
        return shop.get('VerificationState')


def test_verify_and_repair(pair, link):
        """What is wrong with a table without a key is counted, and mended by as many rows as it takes; while others write, too."""
        source, destination = pair
        simple(source, 4000)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        assert differences(shop) == 'equal'
        for sql in ("DELETE FROM t LIMIT 3", "UPDATE t SET b = UPPER(b) LIMIT 5", "INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)",
                    "DELETE FROM t WHERE a = 7", "INSERT INTO t SELECT * FROM t WHERE a = 9"):
                destination.admin(sql, db=DB)
        stop = threading.Event()

        def write():
                with source.connect('app', servers.APP_PASSWORD, DB) as c, c.cursor() as cursor:
                        n = 0
                        while not stop.is_set():
                                cursor.execute('INSERT INTO t VALUES (%s, %s, 0)', (1000 + n % 5, 'written'))
                                if n % 3 == 2:
                                        cursor.execute("DELETE FROM t WHERE b = 'written' LIMIT 1")
                                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
                assert differences(shop) == 'different'
                summary = shop.agent.ctl('report', 'shop').out
                assert '5 below' in summary or '5 above' in summary or 'row with hash' in summary, summary
                shop.operate('Repair')
                assert shop.get('VerificationState') == 'equal'
                assert differences(shop) == 'equal'
        finally:
                stop.set()
                writer.join()
        equal.wait_equal(source, destination, [DB])


def test_one_missing_and_one_too_many(pair, link):
        """Two rows are to go; of the one there is none left, of the other one two. As many as asked for are found: it must not pass."""
        source, destination = pair
        source.admin(f'CREATE DATABASE {DB}')
        source.admin(f'CREATE TABLE {DB}.t (a INT, b VARCHAR(20)) ENGINE=InnoDB')
        source.admin(f"INSERT INTO {DB}.t VALUES (1,'x'), (2,'x'), (3,'x')")
        shop = link(source, destination)
        steps.start(shop)
        destination.admin('UPDATE t SET a = 2 WHERE a = 1', db=DB)
        source.admin('DELETE FROM t WHERE a < 3', db=DB)
        shop.wait_property('ReplicationState', 'failed', 30)
        error, message = shop.get('LastError')
        assert error.endswith('.DataMismatch') and '1 of 2 rows' in message, (error, message)
        assert destination.admin('SELECT a, COUNT(*) FROM t GROUP BY a', db=DB) == ((2, 2), (3, 1))
        destination.admin('UPDATE t SET a = 1 WHERE a = 2 LIMIT 1', db=DB)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        equal.wait_equal(source, destination, [DB])


class Writers:
        """Write to whichever side takes writes: duplicates come, go and change."""

        def __init__(self, sides, count=3):
                self.sides, self.stopped, self.pausing = sides, threading.Event(), threading.Event()
                self.done, self.failures, self.idle = [0] * count, [], [threading.Event() for _ in range(count)]
                self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

        def __enter__(self):
                for thread in self.threads:
                        thread.start()
                return self

        def __exit__(self, *exc):
                self.pausing.clear()
                self.stopped.set()
                for thread in self.threads:
                        thread.join()

        def _run(self, n):
                rng, side = random.Random(f'{SEED}/{n}'), 0
                while not self.stopped.is_set():
                        try:
                                with self.sides[side].connect('app', servers.APP_PASSWORD, DB, autocommit=False, read_timeout=20) as c:
                                        self._write(c, rng, n)
                        except pymysql.err.MySQLError as e:
                                if e.args[0] not in steps.REFUSALS | steps.ENDED | {1049, 1146, 1205, 1213, 2003}:
                                        self.failures.append(e)
                                        return
                                side = 1 - side
                                time.sleep(0.01)

        def _write(self, c, rng, n):
                with c.cursor() as cursor:
                        while not self.stopped.is_set():
                                while self.pausing.is_set() and not self.stopped.is_set():
                                        self.idle[n].set()
                                        time.sleep(0.01)
                                self.idle[n].clear()
                                for _ in range(rng.randrange(1, 4)):
                                        a, b = rng.randrange(40), f'v{rng.randrange(7)}'
                                        dice = rng.random()
                                        if dice < 0.4:
                                                cursor.execute('INSERT INTO t (a, b, c) VALUES (%s, %s, %s)' + ', (%s, %s, %s)' * 2,
                                                               (a, b, n) * 3)
                                        elif dice < 0.7:
                                                cursor.execute('DELETE FROM t WHERE a = %s AND b = %s LIMIT 2', (a, b))
                                        else:
                                                cursor.execute('UPDATE t SET b = %s WHERE a = %s LIMIT 3', (b, a))
                                c.rollback() if rng.random() < 0.05 else c.commit()
                                self.done[n] += 1
                                time.sleep(0.004)

        def quiet(self):
                self.pausing.set()
                for n, thread in enumerate(self.threads):
                        while thread.is_alive() and not self.idle[n].wait(0.05):
                                pass


def test_writers_and_kills(agent, pair, link):
        """Writers through copying, synchronizing, a switch and a rollback, with the agent killed in each of them."""
        source, destination = pair
        rng = random.Random(SEED)
        print(f'seed {SEED}')
        simple(source, 12000, ', KEY (a)')

        def kill(within):
                time.sleep(rng.uniform(0, within))
                agent.kill9()
                time.sleep(0.1)
                agent.start()

        def compare():
                writers.quiet()
                shop.wait_caught_up()
                equal.wait_equal(source, destination, [DB])
                writers.pausing.clear()

        with Writers([source, destination]) as writers:
                shop = link(source, destination, max_copy_rate=1 << 20)
                shop.operate('Start', flags=1)
                kill(0.6)
                kill(0.6)
                shop.wait_phase('synchronizing', 120)
                for _ in range(3):
                        kill(1)
                        shop.wait_caught_up()
                compare()
                for method in ('Switch', 'Rollback'):
                        steps.change_side(shop, method)
                        kill(0.8)
                        time.sleep(0.5)
                        compare()
                print(f'{sum(writers.done)} transactions')
        assert not writers.failures, writers.failures
        assert min(writers.done) > 50
