# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements of others on the side that takes writes: what stops the link, and what must not."""

import random
import threading
import time

import pymysql
import pytest

import equal
import schemas
import servers
import steps
from agent import BusError, OperationFailed


def failed(shop):
        return shop.get('ReplicationState') == 'failed'


def test_statements_in_a_row(link, pair):
        """ALTERs one after the other that the other side refuses, since somebody did the same there before."""
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('CREATE TABLE shop.wide (id INT PRIMARY KEY, a INT)')
        shop = link(source, destination)
        steps.start(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                for i in range(500):
                        cursor.execute('INSERT INTO wide VALUES (%s, %s)', (i, i))
                shop.wait_caught_up()
                equal.wait_equal(source, destination, ['shop'])
                statements = [f'ALTER TABLE shop.wide ADD COLUMN c{n} INT NOT NULL DEFAULT {n}' for n in range(3)]
                for statement in statements:
                        destination.admin(statement)
                for statement in statements:
                        source.admin(statement)
                cursor.execute('UPDATE wide SET c2 = c2 + 1')
                for _ in statements:
                        shop.wait(lambda: failed(shop), 60, 'the link to stop')
                        name, message = shop.get('LastError')
                        assert name.endswith('.UnsupportedObject') and 'ALTER TABLE `shop`.`wide`' in message and '1060' in message
                        assert 'COLUMN' not in message
                        shop.call('Resume', '(a{sv}t)', {'ddl': 'done-by-hand'}, 0)
                        shop.wait(lambda: not failed(shop) or shop.get('LastError')[1] != message, 30, 'the next one')
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop'])


ODD_STATEMENTS = [
        'BEGIN', 'COMMIT', 'BEGIN', 'ROLLBACK', 'BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', 'COMMIT',
        # undone in part
        'BEGIN', 'INSERT INTO odd.t VALUES (1, 1, NULL)', 'SAVEPOINT a', 'INSERT INTO odd.t VALUES (2, 2, NULL)', 'SAVEPOINT b',
        'UPDATE odd.t SET v = 9', 'ROLLBACK TO b', "INSERT INTO odd.t VALUES (3, 3, 'x')", 'ROLLBACK TO a',
        'INSERT INTO odd.t VALUES (4, 4, NULL)', 'RELEASE SAVEPOINT a', 'COMMIT',
        # temporary and real tables together
        'CREATE TEMPORARY TABLE odd.scratch (a INT)', 'BEGIN', 'INSERT INTO odd.scratch VALUES (10), (11), (12)',
        'INSERT INTO odd.t SELECT a, a, NULL FROM odd.scratch', 'DELETE FROM odd.scratch WHERE a = 10', 'UPDATE odd.t SET v = 0 WHERE id = 10', 'COMMIT',
        'CREATE TEMPORARY TABLE odd.chosen SELECT * FROM odd.t', 'ALTER TABLE odd.chosen ADD COLUMN more INT', 'TRUNCATE TABLE odd.chosen',
        'UPDATE odd.t, odd.scratch SET odd.t.v = 77, odd.scratch.a = 5 WHERE odd.t.id = odd.scratch.a',
        'CREATE TEMPORARY TABLE odd.t (hides INT)', 'INSERT INTO odd.t VALUES (1)', 'DROP TABLE odd.t', 'DROP TEMPORARY TABLE odd.chosen',
        # several tables at once
        'INSERT INTO odd.u SELECT id, v FROM odd.t', 'UPDATE odd.t JOIN odd.u USING (id) SET odd.t.v = odd.u.v + 1, odd.u.v = 5 WHERE id < 11',
        'DELETE odd.t, odd.u FROM odd.t JOIN odd.u USING (id) WHERE id = 12', 'DELETE FROM odd.u USING odd.u JOIN odd.t USING (id) WHERE id = 4',
        # what becomes an INSERT, an UPDATE or a DELETE
        'INSERT INTO odd.t VALUES (1, 5, NULL) ON DUPLICATE KEY UPDATE v = v + 100', 'INSERT INTO odd.t VALUES (20, 5, NULL) ON DUPLICATE KEY UPDATE v = 1',
        'REPLACE INTO odd.t VALUES (20, 6, NULL), (21, 7, NULL)', 'REPLACE INTO odd.q VALUES (1, 1), (2, 2), (3, 1)', 'INSERT IGNORE INTO odd.q VALUES (4, 2)',
        'UPDATE odd.q SET id = id + 10 ORDER BY id DESC', 'UPDATE IGNORE odd.q SET v = 1',
        # a statement that ends a transaction before it
        'BEGIN', 'INSERT INTO odd.t VALUES (30, 1, NULL)', 'CREATE TABLE odd.made (a INT PRIMARY KEY)', 'INSERT INTO odd.made VALUES (1)', 'ROLLBACK',
        'SET autocommit = 0', 'INSERT INTO odd.made VALUES (2)', 'SET autocommit = 1']


def test_odd_statements(link, server, tmp_path):
        """What sessions do beside plain rows: transactions undone in part, temporary tables (also dropped in a transaction that is rolled back:
        MySQL 5.6 logs the DROP and the ROLLBACK), several tables at once, a MEMORY table that a restart has emptied."""
        source = server(servers.MySQL56, config=['skip:gtid_mode', 'skip:enforce-gtid-consistency'])
        destination = server(servers.MariaDB)
        schemas.create_shop(source, 500)
        source.script(['CREATE DATABASE odd', "CREATE TABLE odd.t (id INT PRIMARY KEY, v INT, w VARCHAR(10) DEFAULT 'w')",
                       'CREATE TABLE odd.u (id INT PRIMARY KEY, v INT)', 'CREATE TABLE odd.q (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))',
                       'CREATE TABLE odd.loaded (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(50), n INT)',
                       'CREATE TABLE odd.fleeting (a INT) ENGINE=MEMORY', 'INSERT INTO odd.fleeting VALUES (1)'])
        shop = link(source, destination)
        steps.start(shop)
        (tmp_path / 'rows').write_text(''.join(f'value {n}\t{n}\n' for n in range(20000)))
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, \
                        c.cursor() as cursor:
                cursor.execute('SET autocommit = 0')
                cursor.execute('CREATE TEMPORARY TABLE scratch (a INT) ENGINE=InnoDB')
                cursor.execute('INSERT INTO scratch VALUES (1)')
                cursor.execute('DROP TEMPORARY TABLE scratch')
                cursor.execute('ROLLBACK')
                cursor.execute('SAVEPOINT s')
                cursor.execute('CREATE TEMPORARY TABLE scratch (a INT) ENGINE=InnoDB')
                cursor.execute('DROP TEMPORARY TABLE scratch')
                cursor.execute('ROLLBACK TO s')
                cursor.execute('UPDATE stock SET quantity = quantity + 1 WHERE product_id = 1')
                cursor.execute('COMMIT')
        with source.connect(local_infile=True) as c, c.cursor() as cursor:
                for sql in ODD_STATEMENTS:
                        cursor.execute(sql)
                cursor.execute(f"LOAD DATA LOCAL INFILE '{tmp_path}/rows' INTO TABLE odd.loaded (v, n)")
        shop.wait_caught_up(30)
        equal_but_left_out(source, destination)
        source.restart()
        assert source.scalar('SELECT COUNT(*) FROM odd.fleeting') == 0  # logs DELETE FROM `odd`.`fleeting`
        source.script(["UPDATE odd.t SET w = 'after'", 'INSERT INTO odd.u VALUES (100, 100)'])
        shop.wait(lambda: destination.scalar('SELECT v FROM odd.u WHERE id = 100') == 100, 60, 'what came after the restart')
        equal_but_left_out(source, destination)
        steps.change_side(shop, 'Switch')
        destination.script(['SET STATEMENT max_statement_time=60 FOR UPDATE odd.t SET v = v + 1',
                            'SET STATEMENT sort_buffer_size=100000 FOR INSERT INTO odd.u SELECT id + 1000, v FROM odd.t',
                            *[sql for sql in ODD_STATEMENTS if 'odd.made' not in sql][-15:-8]])
        shop.wait_caught_up(30)
        equal_but_left_out(source, destination)


def equal_but_left_out(source, destination):
        """Both sides are equal in time; the MEMORY table stays behind."""
        for n in range(100):
                different = [line for line in equal.compare(source, destination, ['shop', 'odd']) if 'fleeting' not in line]
                if not different:
                        return
                time.sleep(0.3)
        raise AssertionError(different)


def test_killed_query(link, pair):
        """KILL QUERY of one of the agent's statements is no reason to stop for good."""
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM shop.stock WHERE product_id = 1 FOR UPDATE')
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
                killed = 0
                for _ in range(600):
                        rows = destination.admin("SELECT id FROM information_schema.processlist WHERE user = 'agent' AND "
                                                 "command = 'Query' AND info LIKE '%%stock%%'")
                        for (thread,) in rows:
                                destination.admin(f'KILL QUERY {thread}')
                                killed += 1
                        if killed:
                                break
                        time.sleep(0.1)
                assert killed
                time.sleep(1)
        shop.wait_caught_up(30)
        equal.wait_equal(source, destination, ['shop'])


def test_foreign_write_behind_another_table(link, pair):
        """A transaction of others is seen although its first table is none that is carried."""
        source, destination = pair
        schemas.create_shop(source, 500)
        destination.script(['CREATE DATABASE aside', 'CREATE TABLE aside.t (a INT PRIMARY KEY)'])
        shop = link(source, destination, include=['shop'])
        steps.start(shop)
        shop.wait(lambda: shop.get('ReverseProven'), 30, 'ReverseProven')
        destination.script(['BEGIN', 'INSERT INTO aside.t VALUES (1)',
                            'UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1', 'COMMIT'])
        shop.wait(lambda: shop.get('ForeignWrites') == 1, 10, 'the foreign write')


def test_tables_of_others_in_our_database(link, pair):
        """What somebody else keeps in a database `polarshift` stays when a migration ends."""
        source, destination = pair
        schemas.create_shop(source, 500)
        destination.script(['CREATE DATABASE polarshift', 'CREATE TABLE polarshift.theirs (a INT PRIMARY KEY)'])
        shop = link(source, destination)
        steps.start(shop)
        shop.operate('Cancel')
        assert destination.admin('SHOW TABLES FROM polarshift') == (('theirs',),)
        assert not source.admin("SHOW DATABASES LIKE 'polarshift'")


# --- XA

class Xa:
        """XA transactions on SERVER, each prepared in a session of its own, which ends, and ended from another one."""

        def __init__(self, server, settings=()):
                self.server, self.settings = server, settings

        def prepare(self, xid, *statements):
                with self.server.connect(db='two') as c, c.cursor() as cursor:
                        for sql in (*self.settings, f'XA START {xid}', *statements, f'XA END {xid}', f'XA PREPARE {xid}'):
                                cursor.execute(sql)

        def end(self, how, xid):
                """MariaDB takes a moment until the session that prepared it is gone."""
                for _ in range(1000):
                        try:
                                self.server.admin(f'XA {how} {xid}')
                                return
                        except pymysql.err.MySQLError as e:
                                if e.args[0] != 1397 and e.args[0] != 3170:
                                        raise
                                time.sleep(0.05)
                raise AssertionError(f'{xid} could not be ended')


def churn_xa(xa, rng, base):
        """Several open at once, ended in any order and either way; names with any bytes, and used again and again."""
        names = ["'again'", "X'00ff27',X'0102',7", "X'5c27',X'',0", "'a','b',4", "'a','c',4"]
        open_ones = []
        for n in range(30):
                key = base + n
                free = [name for name in names if name not in open_ones]
                if free and rng.random() < 0.6:
                        name = rng.choice(free)
                        xa.prepare(name, f"INSERT INTO plain VALUES ({key}, 'new'), ({key + 1000}, 'new')",
                                   f"UPDATE plain SET v = 'changed' WHERE id = {key}", f"INSERT INTO uniq VALUES ({key}, {key})",
                                   f'DELETE FROM plain WHERE id = {key + 1000}')
                        open_ones.append(name)
                elif open_ones:
                        xa.end(rng.choice(('COMMIT', 'ROLLBACK')), open_ones.pop(rng.randrange(len(open_ones))))
                xa.server.admin("UPDATE two.plain SET v = CONCAT('plain ', %s) WHERE id = 1", (key,))
        for name in open_ones:
                xa.end(rng.choice(('COMMIT', 'ROLLBACK')), name)


def prepared_transactions(agent, link, source, destination):
        """XA PREPARE on the new side: its rows come to the old one when, and only when, it is committed, whatever is restarted between."""
        rng = random.Random(17)
        source.script(['CREATE DATABASE two', 'CREATE TABLE two.plain (id INT PRIMARY KEY, v VARCHAR(100))',
                       'CREATE TABLE two.uniq (id INT PRIMARY KEY, u INT, UNIQUE KEY (u))',
                       'CREATE TABLE two.bulk (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)', "INSERT INTO two.plain VALUES (1, 'one')"])
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        xa = Xa(destination)
        # Kept open through everything that follows: one that fits into memory, one that does not, one of no carried row.
        xa.prepare("'long'", "INSERT INTO plain VALUES (2, 'long')", "UPDATE plain SET v = 'long' WHERE id = 2")
        xa.prepare("'large'", *["INSERT INTO bulk (v) VALUES (REPEAT('large', 20000))"] * 20)
        xa.prepare("'gone'", "INSERT INTO plain VALUES (3, 'gone')")
        churn_xa(xa, rng, 100)
        if destination.flavor == 'mysql97':
                churn_xa(Xa(destination, ['SET binlog_transaction_compression=ON']), rng, 200)
        with destination.connect(db='two') as c, c.cursor() as cursor:
                for sql in ("XA START 'one'", "INSERT INTO plain VALUES (4, 'one phase')", "XA END 'one'", "XA COMMIT 'one' ONE PHASE"):
                        cursor.execute(sql)
        equal.wait_equal(source, destination, ['two'])
        assert source.scalar('SELECT COUNT(*) FROM two.plain WHERE id IN (2, 3)') == 0
        time.sleep(6)   # the checkpoints of idle workers follow

        agent.kill9()
        churn_xa(xa, rng, 300)
        agent.start()
        churn_xa(xa, rng, 400)
        equal.wait_equal(source, destination, ['two'])
        shop = agent.migration('shop')
        xa.end('COMMIT', "'large','',1" if destination.flavor == 'mysql97' else "'large','',9")
        destination.restart()
        shop.wait(lambda: shop.get('ReplicationState') == 'running', 60, 'the link')
        with pytest.raises(OperationFailed) as refused:  # what is prepared could be committed behind the fence
                steps.change_side(shop, 'Rollback')
        assert refused.value.short == 'CheckFailed'
        xa.end('COMMIT', "'long'")
        xa.end('ROLLBACK', "'gone'")
        equal.wait_equal(source, destination, ['two'])
        assert source.scalar("SELECT COUNT(*) FROM two.plain WHERE id IN (2, 4) AND v IN ('long', 'one phase')") == 2
        assert source.scalar('SELECT COUNT(*) FROM two.bulk') == 20
        steps.change_side(shop, 'Rollback')
        assert equal.compare(source, destination, ['two']) == []


def test_prepared_transactions(agent, link, pair):
        prepared_transactions(agent, link, *pair)


# --- sessions that log only a part of each row

PARTIAL_TABLES = [
        "CREATE TABLE part.k (id INT PRIMARY KEY AUTO_INCREMENT, a INT NOT NULL DEFAULT 5, b VARCHAR(20) DEFAULT 'dd', c TEXT, "
        "d TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, e BIT(3) DEFAULT b'101', f BLOB, "
        "g DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), h ENUM('x','y') NOT NULL, i SET('p','q') NOT NULL DEFAULT 'p,q', "
        "j DECIMAL(10,3) DEFAULT '1.5', l YEAR NOT NULL, m BINARY(3) NOT NULL, n TIMESTAMP(2) NOT NULL DEFAULT '2001-02-03 04:05:06', "
        "o TIME NOT NULL, p DATE NOT NULL, q FLOAT NOT NULL, r LONGTEXT NOT NULL)",
        'CREATE TABLE part.u (id INT PRIMARY KEY, u INT, w VARCHAR(10), t TEXT, UNIQUE KEY (u))',
        "CREATE TABLE part.s (id VARCHAR(10) CHARACTER SET utf8 PRIMARY KEY, a INT DEFAULT 3, t TEXT)",
        'CREATE TABLE part.n (x INT NOT NULL, y INT NOT NULL, v INT, t BLOB, UNIQUE KEY (x, y))']


def churn_parts(cursor, rng, base, rounds):
        """Statements that name some columns only; keys are not changed by UPDATE of a part."""
        cursor.execute("SET sql_mode=''")
        for n in range(base, base + rounds):
                cursor.execute(rng.choice(("SET binlog_row_image='MINIMAL'", "SET binlog_row_image='NOBLOB'",
                                           "SET binlog_row_image='MINIMAL'", "SET binlog_row_image='FULL'")))
                some = rng.randint(1, base + rounds)
                for sql in (
                        f'INSERT IGNORE INTO k (id) VALUES ({n})', f"INSERT IGNORE INTO k (id, c, f) VALUES ({n + 1}, 't', 'f')",
                        f'UPDATE k SET a = a + 1 WHERE id = {n}', f"UPDATE k SET c = CONCAT(COALESCE(c, ''), 'new'), q = 1.5 WHERE id <= {some} LIMIT 3",
                        f"UPDATE k SET b = NULL, f = 'x' WHERE id = {some}",
                        f'INSERT INTO k (id, a) VALUES ({some}, 1) ON DUPLICATE KEY UPDATE a = 99',
                        f'REPLACE INTO k (id, a) VALUES ({rng.randint(1, n)}, 3)', f'DELETE FROM k WHERE id = {rng.randint(1, n)}',
                        f'INSERT IGNORE INTO u (id) VALUES ({n})', f'UPDATE IGNORE u SET u = {rng.randint(1, 50)} WHERE id = {some}',
                        f"UPDATE u SET w = 'w{n % 7}' WHERE id = {n}", f'UPDATE u SET u = NULL WHERE id = {rng.randint(1, n)}',
                        f'REPLACE INTO u (id, u) VALUES ({n + 5}, {rng.randint(1, 50)})', f'DELETE FROM u WHERE id = {rng.randint(1, n)}',
                        f"INSERT IGNORE INTO s (id) VALUES ('k{n}')", f"UPDATE s SET t = 'text' WHERE id = 'K{n}'",
                        f"UPDATE s SET a = NULL WHERE id = 'k{some}'",
                        f'INSERT IGNORE INTO n (x, y) VALUES ({n}, {n % 3})', f'UPDATE n SET v = {n} WHERE x = {some}',
                        f"UPDATE n SET t = 'blob' WHERE y = {n % 3} ORDER BY x LIMIT 2", f'DELETE FROM n WHERE x = {rng.randint(1, n)}'):
                        cursor.execute(sql)


def test_partial_images(link, pair):
        """binlog_row_image is a session's own choice: what it leaves out is known, or is not changed."""
        source, destination = pair
        rng = random.Random(23)
        source.script(["SET sql_mode=''", 'CREATE DATABASE part', *PARTIAL_TABLES, 'CREATE TABLE part.filler (id INT PRIMARY KEY, v LONGBLOB)',
                       "INSERT INTO part.k (id, c) VALUES (1, 'c'), (2, 'c')", 'INSERT INTO part.k (c) SELECT a.c FROM part.k a, part.k b, part.k c',
                       *["INSERT INTO part.k (c) SELECT REPEAT('c', 50) FROM part.k"] * 10,
                       *[f"INSERT INTO part.filler VALUES ({n}, REPEAT('x', 2000000))" for n in range(20)]])
        shop = link(source, destination, **{'max-copy-rate': 20000000})
        done = threading.Event()

        def write():
                with source.connect('app', servers.APP_PASSWORD, 'part') as c, c.cursor() as cursor:
                        base = 20000
                        while not done.is_set():
                                churn_parts(cursor, rng, base, 10)
                                cursor.execute('UPDATE k SET b = %s WHERE id BETWEEN 3 AND 20', (str(base),))
                                base += 10
        writer = threading.Thread(target=write)
        writer.start()
        try:
                steps.start(shop)
        finally:
                done.set()
                writer.join()
        with source.connect('app', servers.APP_PASSWORD, 'part') as c, c.cursor() as cursor:
                churn_parts(cursor, rng, 100, 200)
        equal.wait_equal(source, destination, ['part'])
        assert shop.get('ReplicationState') == 'running'


# --- sessions that log statements instead of rows

def in_statement_format(server, *statements, db='said'):
        with server.connect(db=db, local_infile=True) as c, c.cursor() as cursor:
                for sql in ("SET SESSION binlog_format='STATEMENT'", *statements):
                        cursor.execute(sql)


def copies_again(shop):
        """How often tables were copied again up to now."""
        return shop.call('GetHistory', '(t)', 0).count('copy-again')


def test_statement_format(agent, link, pair, tmp_path):
        """Tables that a session wrote to in statement format are copied again, in either direction, while all others go on."""
        source, destination = pair
        source.script([
                'CREATE DATABASE said', 'CREATE TABLE said.big (id INT PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL, pad VARCHAR(200))',
                'CREATE TABLE said.other (id INT PRIMARY KEY AUTO_INCREMENT, v INT)',
                'CREATE TABLE said.named (id VARCHAR(20) CHARACTER SET utf8 PRIMARY KEY, u INT, UNIQUE KEY (u))',
                "INSERT INTO said.big (v, pad) VALUES (1, REPEAT('p', 200)), (2, REPEAT('p', 200))",
                *["INSERT INTO said.big (v, pad) SELECT v, pad FROM said.big"] * 14,
                "INSERT INTO said.named VALUES ('a', 1), ('B', 2), ('c', NULL)", 'INSERT INTO said.other (v) VALUES (1)',
                'CREATE TABLE said.parent (id INT PRIMARY KEY, v INT)',
                'CREATE TABLE said.child (id INT PRIMARY KEY AUTO_INCREMENT, p INT, FOREIGN KEY (p) REFERENCES said.parent (id) ON DELETE CASCADE)',
                'INSERT INTO said.parent SELECT id, v FROM said.big WHERE id < 2000', 'INSERT INTO said.child (p) SELECT id FROM said.parent'])
        shop = link(source, destination)
        steps.start(shop)
        shop.wait(lambda: shop.get('VerificationState') == 'equal', 60, 'the first comparison')
        done = threading.Event()

        def write(server):
                with server.connect('app', servers.APP_PASSWORD, 'said') as c, c.cursor() as cursor:
                        n = 0
                        while not done.is_set():
                                n += 1
                                cursor.execute('INSERT INTO other (v) VALUES (%s)', (n,))
                                cursor.execute('UPDATE big SET v = %s WHERE id = %s', (n, n % 30000))
                                cursor.execute('DELETE FROM big WHERE id = %s', (n * 7 % 30000,))
        writer = threading.Thread(target=write, args=(source,))
        writer.start()
        try:
                shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 100000}, 0)
                in_statement_format(source, 'UPDATE big SET v = v + 100000 WHERE id % 3 = 0')
                shop.wait(lambda: copies_again(shop) == 1, 30, 'the copy to begin')
                shop.wait(lambda: shop.get('VerificationState') == 'none' and shop.get('ReplicationDelay') >= 0, 30, 'the link')
                assert shop.get('Phase') == 'synchronizing'
                with pytest.raises(BusError) as refused:
                        shop.operate('Switch')
                assert refused.value.short == 'VerificationFailed'
                with pytest.raises(OperationFailed) as refused:
                        shop.operate('Verify')
                assert refused.value.short == 'VerificationFailed'
                agent.kill9()
                agent.start()
                shop = agent.migration('shop')
                (tmp_path / 'rows').write_text('load1\t100\nload2\t200\n')
                in_statement_format(source, 'SET @u = 17', "INSERT INTO named VALUES ('d', @u), (CONCAT('e', RAND()), 18)",
                                    f"LOAD DATA LOCAL INFILE '{tmp_path}/rows' INTO TABLE named",
                                    'INSERT INTO other (v) VALUES (7), (8)',        # with INTVAR
                                    'DELETE FROM parent WHERE id % 3 = 1',          # cascades
                                    'BEGIN', 'UPDATE big SET v = 3 LIMIT 10', "REPLACE INTO named VALUES ('A', 5)", 'COMMIT')
                shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
                shop.wait(lambda: copies_again(shop) >= 7, 60, 'further copies')
        finally:
                done.set()
                writer.join()
        equal.wait_equal(source, destination, ['said'])
        shop.wait(lambda: shop.get('VerificationState') == 'equal', 60, 'the comparison of what was copied again')

        # What it cannot tell stops the link, and there is a way on.
        in_statement_format(source, 'UPDATE big, named SET big.v = 5, named.u = 50 WHERE big.id < 100 AND named.u = 1')
        shop.wait(lambda: shop.get('ReplicationState') == 'failed', 30, 'the stop')
        assert shop.get('LastError')[0].endswith('.UnsupportedObject')
        shop.call('Resume', '(a{sv}t)', {'ddl': 'skip'}, 0)
        shop.wait(lambda: shop.get('ReplicationState') == 'running', 30, 'the link')
        shop.operate('Repair')
        equal.wait_equal(source, destination, ['said'])

        # The same on the way back, and an image that MariaDB leaves open.
        steps.change_side(shop, 'Switch')
        before = copies_again(shop)
        in_statement_format(destination, 'UPDATE big SET v = v + 1 WHERE id < 500', 'DELETE FROM named WHERE u = 18')
        with destination.connect(db='said') as c, c.cursor() as cursor:
                for sql in ("SET binlog_row_image='MINIMAL'", 'REPLACE INTO big (id, v) VALUES (1, 1)', 'UPDATE other SET v = 0 LIMIT 5'):
                        cursor.execute(sql)
        equal.wait_equal(source, destination, ['said'])
        assert copies_again(shop) == before + 4
        shop.wait(lambda: shop.get('VerificationState') == 'equal', 60, 'the comparison')
        steps.change_side(shop, 'Rollback')
        assert equal.compare(source, destination, ['said']) == []
