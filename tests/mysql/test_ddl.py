# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements that change tables and databases, carried while copying, while synchronizing and on the way back."""

import os
import subprocess
import time

import pymysql
import pytest

import equal
import schemas
import servers
import steps
from agent import OperationFailed
from workload import Workload

# In one session of the application's; what stands in between is rows, to be decoded with the columns of their position.
PLAIN = [
        'CREATE TABLE shop.plain (id INT NOT NULL PRIMARY KEY, a VARCHAR(20) NOT NULL DEFAULT \'x\') ENGINE=InnoDB',
        "INSERT INTO shop.plain VALUES (1, 'one'), (2, 'two')",
        'ALTER TABLE shop.plain ADD COLUMN b INT NOT NULL DEFAULT 7 AFTER id',
        "INSERT INTO shop.plain VALUES (3, 3, 'three')",
        'ALTER TABLE shop.plain MODIFY b BIGINT NULL, ADD KEY (a), ALGORITHM=COPY, LOCK=SHARED',
        "INSERT INTO shop.plain VALUES (4, 12345678901, 'four')",
        'CREATE UNIQUE INDEX by_b ON shop.plain (b, id)',
        'DROP INDEX by_b ON shop.plain',
        'ALTER TABLE shop.plain DROP COLUMN a, CHANGE id ident BIGINT NOT NULL /* a comment */ -- another\n',
        'UPDATE shop.plain SET b = b + 1',
        'CREATE TABLE shop.like_plain LIKE shop.plain',
        'INSERT INTO shop.like_plain SELECT * FROM shop.plain',
        'RENAME TABLE shop.plain TO shop.tmp, shop.like_plain TO shop.plain, shop.tmp TO shop.like_plain',
        'UPDATE shop.plain SET b = 100 + ident',
        'TRUNCATE TABLE shop.like_plain',
        'INSERT INTO shop.like_plain VALUES (77, 77)',
        'CREATE TABLE shop.gone (id INT PRIMARY KEY)',
        'INSERT INTO shop.gone VALUES (1)',
        'DROP TABLE IF EXISTS shop.gone, shop.never_there',
        'CREATE TABLE shop.selected (id INT PRIMARY KEY, b BIGINT)',
        'INSERT INTO shop.selected VALUES (500, 500)',
        'ALTER TABLE shop.selected RENAME TO shop.`chosen ``one`, COMMENT=\'rename to nothing\'',
        'INSERT INTO shop.`chosen ``one` VALUES (501, 501)',
        "ALTER TABLE shop.`chosen ``one` ADD made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD `rank` INT DEFAULT 5 /*!50100 COMMENT 'x' */",
        "CREATE TABLE shop.keyed (a INT, b VARCHAR(9), e ENUM('it''s', 'b'), s SET('x', 'y'), f FLOAT(10,3), y YEAR(2), PRIMARY KEY (a, b, e, s))",
        "INSERT INTO shop.keyed VALUES (1, 'b', 1, 3, -13290.186467870248, 2001), (2, '', 2, 0, 13290.1855, 1970)",
        'CREATE DATABASE other DEFAULT CHARACTER SET latin1',
        'CREATE TABLE other.t (id INT PRIMARY KEY, c CHAR(10))',
        "INSERT INTO other.t VALUES (1, 'é')",
        'ALTER DATABASE other DEFAULT CHARACTER SET utf8',
        'ALTER TABLE other.t CONVERT TO CHARACTER SET utf8',
        "INSERT INTO other.t VALUES (2, 'ü')",
        'CREATE DATABASE brief',
        'CREATE TABLE brief.t (id INT PRIMARY KEY)',
        'INSERT INTO brief.t VALUES (1)',
        'DROP DATABASE brief',
        'CREATE TABLE shop.parts (id INT NOT NULL, y INT NOT NULL, PRIMARY KEY (id, y)) PARTITION BY RANGE (y) '
        '(PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)',
        'INSERT INTO shop.parts VALUES (1, 1), (2, 20)',
        'ALTER TABLE shop.parts DROP PARTITION p0',
        'INSERT INTO shop.parts VALUES (3, 3)',
]


# The key's generated name grows where InnoDB does not see it: the server ends when the keys are asked for, on the source as well as on a
# destination to which this is carried as it stands (daemon/engine/ddl-rename.h). FORCE: InnoDB reads the key from its tables again.
SHORT, LONG = 'a\\b', 'abcd'
GROWING = ['CREATE TABLE shop.parent (id INT PRIMARY KEY)',
           f'CREATE TABLE shop.`{SHORT}` (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL)',
           'INSERT INTO shop.parent VALUES (1), (2)', f'INSERT INTO shop.`{SHORT}` VALUES (1, 1), (2, 2)',
           f'ALTER TABLE shop.`{SHORT}` FORCE', f'RENAME TABLE shop.`{SHORT}` TO shop.{LONG}', 'DELETE FROM shop.parent WHERE id = 1',
           # Its parent is away for a while: nothing cascades then.
           'SET foreign_key_checks = 0', 'DROP TABLE shop.parent', f'INSERT INTO shop.{LONG} VALUES (9, NULL)', 'CREATE TABLE shop.parent (id INT PRIMARY KEY)',
           'INSERT INTO shop.parent VALUES (2), (9)', f'UPDATE shop.{LONG} SET p = 9 WHERE id = 9', 'SET foreign_key_checks = 1', 'DELETE FROM shop.parent WHERE id = 9']


def run(server, statements):
        with server.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                for sql in statements:
                        try:
                                cursor.execute(sql)
                        except pymysql.err.MySQLError as e:
                                raise AssertionError(f'{sql}: {e}') from e


def settle(shop, load, source, destination, databases=('shop',)):
        """All that was written is on the other side, and equal there; nothing was held against anybody."""
        load.pause()
        equal.wait_equal(source, destination, list(databases), timeout=60)
        load.go_on()
        shop.wait_caught_up()
        assert shop.get('LastError') == ('', '')
        assert shop.get('ForeignWrites') == 0


def test_while_synchronizing(link, pair):
        source, destination = pair
        schemas.create_shop(source, 300)
        shop = link(source, destination)
        steps.start(shop)
        with Workload([source], writers=2, rate=200) as load:
                began = time.monotonic()
                run(source, PLAIN)
                print(f'statements: {time.monotonic() - began:.1f} s')
                shop.wait_caught_up()
                print(f'carried: {time.monotonic() - began:.1f} s')
                run(source, GROWING)
                # Where files lie is each server's own matter.
                source.script([f"CREATE TABLE shop.placed (id INT PRIMARY KEY) DATA DIRECTORY='{source.folder}/elsewhere'", 'INSERT INTO shop.placed VALUES (1)',
                               "CREATE TABLE shop.placed_parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9) "
                               f"DATA DIRECTORY='{source.folder}/elsewhere')", 'INSERT INTO shop.placed_parts VALUES (1)'])
                settle(shop, load, source, destination, ['shop', 'other'])
                assert os.path.exists(f'{source.folder}/elsewhere/shop/placed.ibd')
                assert {'placed.ibd', 'placed_parts#P#p.ibd'} <= set(os.listdir(f'{destination.datadir}/shop'))
                keys = destination.admin("SELECT constraint_name, table_name, delete_rule FROM information_schema.referential_constraints "
                                         "WHERE constraint_schema = 'shop'")
                assert keys == ((f'{LONG}_ibfk_1', LONG, 'SET NULL'),)
                run(source, [f'RENAME TABLE {LONG} TO `{SHORT}`', f'ALTER TABLE `{SHORT}` RENAME TO {LONG}'])
                shop.wait(lambda: shop.get('ReplicationState') == 'failed', 30, 'the refusal')
                name, message = shop.get('LastError')
                assert name.endswith('.UnsupportedObject') and 'RENAME TABLE is carried by way of a longer name' in message
        assert not destination.admin("SHOW DATABASES LIKE 'brief'")


def test_while_copying(link, pair):
        """Tables that are copied, half copied, and not begun; with keys that the agent orders, and one that the server orders."""
        source, destination = pair
        schemas.create_shop(source, 6000)
        source.script(['CREATE DATABASE big', 'CREATE TABLE big.names (name VARCHAR(60) PRIMARY KEY, v INT) DEFAULT CHARSET utf8',
                       'CREATE TABLE big.t (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c VARCHAR(200))',
                       'CREATE TABLE big.u (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c VARCHAR(200))'])
        with source.connect(db='big') as c, c.cursor() as cursor:
                for at in range(0, 60000, 5000):
                        for name in 'tu':
                                cursor.execute(f'INSERT INTO {name} VALUES ' + ','.join(f"({n},{n * 7919 % 60013},'{'x' * 150}')"
                                                                                       for n in range(at, at + 5000)))
                        cursor.execute('INSERT INTO names VALUES ' + ','.join(f"('name {n}',{n})" for n in range(at, at + 1000)))
        shop = link(source, destination, max_copy_rate=3 << 20, copy_threads=2)
        with Workload([source], writers=2, rate=200) as load:
                shop.operate('Start', flags=1)
                shop.wait(lambda: shop.get('RowsCopied') > 20000, 60, 'some of the copy')
                statements = ['ALTER TABLE big.t ADD COLUMN d INT NOT NULL DEFAULT 3', 'UPDATE big.t SET d = k WHERE id % 10 = 0',
                              'ALTER TABLE big.u DROP PRIMARY KEY, ADD PRIMARY KEY (k, id)', 'DELETE FROM big.u WHERE id % 9 = 0',
                              'ALTER TABLE big.names ADD COLUMN d INT', 'UPDATE big.names SET d = 5 WHERE v % 2 = 0',
                              'RENAME TABLE big.t TO big.x, big.u TO big.t, big.x TO big.u', 'UPDATE big.u SET c = NULL WHERE id < 500',
                              'UPDATE big.t SET c = id WHERE id > 59000']
                for sql in statements:
                        run(source, [sql])
                        time.sleep(0.5)
                        print(sql[:40], shop.get('Phase'), shop.get('RowsCopied'))
                run(source, PLAIN)
                shop.wait_phase('synchronizing', 180)
                settle(shop, load, source, destination, ['shop', 'other', 'big'])


# On MariaDB, to be carried to MySQL 5.6. CREATE … SELECT is logged as a definition with rows in one transaction.
BACK = [
        'CREATE TABLE shop.back (id INT NOT NULL PRIMARY KEY, t TIMESTAMP NULL, n VARCHAR(30)) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci',
        "INSERT INTO shop.back VALUES (1, '2024-02-29 12:00:00', 'one')",
        'ALTER TABLE shop.back ADD COLUMN more DECIMAL(20,4) DEFAULT 1.5, ALGORITHM=INSTANT',
        "INSERT INTO shop.back VALUES (2, NULL, 'two', 2.25)",
        'CREATE TABLE shop.chosen (id INT NOT NULL PRIMARY KEY) DEFAULT CHARSET latin1 AS SELECT id, more FROM shop.back',
        'INSERT INTO shop.chosen VALUES (9, 9)',
        'ALTER TABLE IF EXISTS shop.not_there ADD x INT',
        'RENAME TABLE shop.back TO shop.old_back, shop.chosen TO shop.back',
        'UPDATE shop.back SET more = more + 1',
        'DROP TABLE shop.old_back',
        'CREATE OR REPLACE TABLE shop.back (id INT PRIMARY KEY, z INT NOT NULL) DEFAULT CHARSET latin1',
        'INSERT INTO shop.back VALUES (10, 10)',
        'TRUNCATE shop.back',
        'INSERT INTO shop.back VALUES (11, 11)',
]


def test_on_the_way_back(link, pair):
        source, destination = pair
        schemas.create_shop(source, 300)
        shop = link(source, destination)
        with Workload([source, destination], writers=2, rate=200) as load:
                steps.start(shop)
                run(source, PLAIN[:6])
                settle(shop, load, source, destination)
                steps.change_side(shop, 'Switch')
                run(destination, ['ALTER TABLE shop.plain DROP COLUMN b', "INSERT INTO shop.plain VALUES (50, 'fifty')", *BACK[:6]])
                settle(shop, load, destination, source)
                run(destination, BACK[7:10])
                settle(shop, load, destination, source)
                run(destination, ['CREATE TABLE shop.phased (id INT PRIMARY KEY, b INT) DEFAULT CHARSET latin1', 'INSERT INTO shop.phased VALUES (1, 1), (2, 1)',
                                  'SET binlog_alter_two_phase = 1', 'ALTER TABLE shop.phased ADD c INT DEFAULT 3', 'INSERT INTO shop.phased VALUES (3, 3, 3)',
                                  'CREATE INDEX b ON shop.phased (b)'])
                with pytest.raises(AssertionError, match="1062"):             # it began, and that is in the log
                        run(destination, ['SET binlog_alter_two_phase = 1', 'ALTER TABLE shop.phased ADD UNIQUE KEY once (b)'])
                run(destination, ['UPDATE shop.phased SET b = id'])
                settle(shop, load, destination, source)
                # Without strictness MySQL 5.6 takes this, and drops the default.
                run(destination, ["SET sql_mode = ''", "CREATE TABLE shop.lost (id INT PRIMARY KEY, t TEXT DEFAULT '')"])
                wait_for(lambda: source.admin("SHOW TABLES IN shop LIKE 'lost'"), 'the table')
                steps.make_ready(shop)
                shop.wait_caught_up()
                with pytest.raises(OperationFailed) as refused:
                        shop.operate('Rollback')
                assert 'CheckFailed' in str(refused.value) and 'column t differs in its default' in str(refused.value)
                run(destination, ['DROP TABLE shop.lost', 'CREATE TABLE shop.lost (id INT PRIMARY KEY, t TEXT)'])
                # What 5.6 does not know stops the way back by name, and nothing is lost.
                run(destination, ['CREATE TABLE shop.new (id INT PRIMARY KEY, u UUID)', 'INSERT INTO shop.lost VALUES (1, 2)'])
                shop.wait(lambda: shop.get('ReplicationState') == 'failed', 30, 'the stop')
                name, message = shop.get('LastError')
                assert name.endswith('.UnsupportedObject') and 'CREATE TABLE `shop`.`new`' in message and '1064' in message
                run(destination, ['DROP TABLE shop.new'])
                shop.call('Resume', '(a{sv}t)', {'ddl': 'skip'}, 0)
                shop.wait(lambda: shop.get('ReplicationState') == 'running', 30, 'the link')
                settle(shop, load, destination, source)
                steps.change_side(shop, 'Rollback')
                run(source, ['ALTER TABLE shop.back ADD COLUMN again INT', 'UPDATE shop.back SET again = id'])
                settle(shop, load, source, destination)
                # MySQL 5.6 leaves a table without text as it is.
                run(source, ['CREATE TABLE shop.numbers (id INT PRIMARY KEY)', 'ALTER TABLE shop.numbers CONVERT TO CHARACTER SET latin1 COLLATE latin1_bin'])
                wait_for(lambda: destination.scalar("SELECT table_collation FROM information_schema.tables WHERE table_name='numbers'") == 'latin1_bin',
                         'the conversion')
                steps.make_ready(shop)
                shop.wait_caught_up()
                with pytest.raises(OperationFailed) as refused:
                        shop.operate('Switch')
                assert 'CheckFailed' in str(refused.value) and '`numbers` differs in its default collation' in str(refused.value)
        load.check(source)


def intent(destination):
        """(seq, state) of the newest statement that was carried to there, or None."""
        tables = destination.admin("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' "
                                   "AND table_name LIKE 'intent%%'")
        rows = destination.admin(f'SELECT seq, state FROM polarshift.{tables[0][0]} ORDER BY seq DESC LIMIT 1')
        return rows[0] if rows else None


def wait_for(condition, what, timeout=60):
        deadline = time.monotonic() + timeout
        while not condition():
                assert time.monotonic() < deadline, f'not seen: {what}'
                time.sleep(0.02)


def blocked(server, text):
        return server.admin("SELECT id FROM information_schema.processlist WHERE user = 'agent' AND info LIKE %s "
                            "AND state LIKE '%%metadata lock%%'", (text,))


def kill(agent):
        agent.kill9()
        time.sleep(0.1)
        agent.start()


# Each would show if it ran twice or not at all: an index without a name gets a new one each time, the swap swaps back.
ONCE = ['ALTER TABLE big.t ADD INDEX (k)',
        'RENAME TABLE big.t TO big.x, big.u TO big.t, big.x TO big.u',
        'TRUNCATE TABLE big.u',
        'ALTER TABLE big.t ADD INDEX (k)']


def test_killed_between(agent, link, pair):
        """kill -9 while a statement waits on the destination, and when it is done but not yet noted, copying and synchronizing."""
        source, destination = pair
        schemas.create_shop(source, 300)
        source.script(['CREATE DATABASE big', *(f'CREATE TABLE big.{name} (id INT PRIMARY KEY, k INT, c VARCHAR(250))' for name in 'tu')])
        with source.connect(db='big') as c, c.cursor() as cursor:
                for at in range(0, 60000, 5000):
                        cursor.execute('INSERT INTO t VALUES ' + ','.join(f"({n},{n},'{'x' * 200}')" for n in range(at, at + 5000)))
                cursor.execute('INSERT INTO u SELECT * FROM t WHERE id < 3000')
        shop = link(source, destination, max_copy_rate=1 << 19, copy_threads=2)
        shop.operate('Start', flags=1)
        shop.wait(lambda: shop.get('RowsCopied') > 20000, 60, 'some of the copy')
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 1 << 16}, 0)       # what is left takes as long as the test wants
        for phase in ('copying', 'synchronizing'):
                if phase == 'synchronizing':
                        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
                        shop.wait_phase(phase, 120)
                        shop.wait_caught_up()
                for n, sql in enumerate(ONCE):
                        last = intent(destination)
                        with destination.connect(db='big') as holder, holder.cursor() as cursor, destination.connect() as books, \
                                        books.cursor() as noted:
                                cursor.execute('BEGIN')
                                cursor.execute('SELECT 1 FROM t, u LIMIT 1')
                                source.admin(sql)
                                source.admin(f'INSERT INTO big.t VALUES ({100000 + n + 10 * len(phase)}, 0, {n})')
                                wait_for(lambda: blocked(destination, sql.split()[0] + '%'), 'the statement, waiting')
                                assert shop.get('Phase') == phase
                                if n % 2 == 0:          # it never ran
                                        kill(agent)
                                        cursor.execute('COMMIT')
                                else:                   # it ran, and that could not be noted
                                        name = destination.scalar("SELECT table_name FROM information_schema.tables WHERE "
                                                                  "table_schema = 'polarshift' AND table_name LIKE 'intent%%'")
                                        noted.execute('BEGIN')
                                        noted.execute(f'SELECT * FROM polarshift.{name} FOR UPDATE')
                                        cursor.execute('COMMIT')
                                        wait_for(lambda: destination.admin(
                                                "SELECT id FROM information_schema.processlist WHERE user = 'agent' AND info LIKE "
                                                "'UPDATE `polarshift`.`intent%%'"), 'the note, waiting')
                                        kill(agent)
                                        time.sleep(0.5)
                                        noted.execute('COMMIT')
                        wait_for(lambda: intent(destination) != last and intent(destination)[1] == 'done', 'the statement, done', 60)
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop', 'big'], timeout=60)
        indexes = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = 'big'"
        assert destination.scalar(indexes) == source.scalar(indexes)
        assert shop.get('LastError') == ('', '') and shop.get('ForeignWrites') == 0


def test_changed_and_not_logged(agent, link, pair):
        """A server that ends between changing a table and logging that: nobody can tell what to do but who looks at it."""
        source, destination = pair
        schemas.create_shop(source, 300)
        source.admin('CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, k INT)')
        source.admin('INSERT INTO shop.t (k) VALUES (1)')
        shop = link(source, destination)
        steps.start(shop)
        with destination.connect(db='shop') as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT 1 FROM t')
                source.admin('ALTER TABLE shop.t ADD INDEX (k)')
                wait_for(lambda: blocked(destination, 'ALTER%'), 'the statement, waiting')
                waiting = blocked(destination, 'ALTER%')[0][0]
                agent.kill9()
                destination.admin(f'KILL {waiting}')
                wait_for(lambda: not blocked(destination, 'ALTER%'), 'its end')
                cursor.execute('COMMIT')
                cursor.execute('SET sql_log_bin = 0')
                cursor.execute('ALTER TABLE t ADD INDEX (k)')
        agent.start()
        shop.wait_property('ReplicationState', 'failed', 30)
        name, message = shop.get('LastError')
        assert name.endswith('.UnsupportedObject') and 'not what it was' in message, message
        shop.call('Resume', '(a{sv}t)', {'ddl': 'done-by-hand'}, 0)
        shop.wait_property('ReplicationState', 'running', 30)
        source.admin('INSERT INTO shop.t (k) VALUES (2)')
        equal.wait_equal(source, destination, ['shop'])


def test_online_schema_change(link, pair):
        """What gh-ost does: a ghost that is altered while empty, filled in pieces while changes are carried over, and swapped in."""
        source, destination = pair
        schemas.create_shop(source, 300)
        source.admin('CREATE TABLE shop.wide (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL)')
        run(source, [f'INSERT INTO wide (v) VALUES {",".join(["(1)"] * 500)}'])
        shop = link(source, destination)
        steps.start(shop)
        # Far behind: everything is decoded with the columns that held where it stands.
        shop.call('Pause', '(a{sv}t)', {}, 0)
        run(source, ['CREATE TABLE _wide_gho LIKE wide', 'ALTER TABLE _wide_gho ADD COLUMN note VARCHAR(20) NOT NULL DEFAULT \'new\'',
                     'CREATE TABLE _wide_del (id INT PRIMARY KEY)'])
        for at in range(0, 500, 100):
                run(source, [f'INSERT IGNORE INTO _wide_gho (id, v) SELECT id, v FROM wide WHERE id > {at} AND id <= {at + 100} LOCK IN SHARE MODE',
                             f'UPDATE wide SET v = v + 1 WHERE id = {at + 50}', f'REPLACE INTO _wide_gho (id, v) SELECT id, v FROM wide WHERE id = {at + 50}',
                             f'DELETE FROM wide WHERE id = {at + 60}', f'DELETE FROM _wide_gho WHERE id = {at + 60}'])
        run(source, ['DROP TABLE _wide_del', 'RENAME TABLE wide TO _wide_del, _wide_gho TO wide', "INSERT INTO wide (v, note) VALUES (7, 'after')",
                     'DROP TABLE _wide_del'])
        for n in range(12):
                run(source, [f'ALTER TABLE wide ADD COLUMN c{n} INT NOT NULL DEFAULT {n} FIRST', f'UPDATE wide SET c{n} = v WHERE id % {n + 2} = 0',
                             f'INSERT INTO wide (v) VALUES ({n})'])
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop'], timeout=60)
        assert shop.get('LastError') == ('', '') and shop.get('ForeignWrites') == 0


def pt_online_schema_change(server, table, alter):
        done = subprocess.run(['pt-online-schema-change', '--alter', alter, f'S={server.socket},u=root,D=shop,t={table}', '--execute',
                               '--recursion-method=none', '--no-version-check', '--chunk-size=200', '--set-vars=lock_wait_timeout=5'],
                              capture_output=True, text=True, timeout=120, env={**os.environ, 'HOME': server.folder})
        assert done.returncode == 0, done.stdout + done.stderr


def test_pt_online_schema_change(link, pair):
        """The tool itself, on the side that takes writes, with triggers of its own for as long as it runs."""
        source, destination = pair
        schemas.create_shop(source, 300)
        shop = link(source, destination)
        with Workload([source, destination], writers=2, rate=200) as load:
                steps.start(shop)
                pt_online_schema_change(source, 'orders', "ADD COLUMN note VARCHAR(20) NOT NULL DEFAULT 'new', ADD KEY (note)")
                settle(shop, load, source, destination)
                steps.change_side(shop, 'Switch')
                pt_online_schema_change(destination, 'order_lines', 'ADD COLUMN weight INT NULL')
                settle(shop, load, destination, source)
                steps.change_side(shop, 'Rollback')
                settle(shop, load, source, destination)
        for server in pair:
                assert not server.admin("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'shop'")


def test_what_5_6_takes_otherwise(link, pair):
        """What MySQL 5.6 reads and forgets (CHECK, REFERENCES behind a column), and an index that it cuts, other servers make: that is said, a switch is
        refused, and an ALTER on the other side mends it."""
        source, destination = pair
        schemas.create_shop(source, 100)
        shop = link(source, destination)
        steps.start(shop)
        run(source, ["SET sql_mode=''", 'CREATE TABLE shop.parent (id INT PRIMARY KEY)', 'CREATE TABLE shop.cut (id INT PRIMARY KEY, a VARCHAR(700) CHARACTER SET utf8, KEY (a))',
                     'CREATE TABLE shop.child (id INT PRIMARY KEY, p INT REFERENCES parent (id))', 'INSERT INTO shop.child VALUES (1, 77)',
                     'CREATE TABLE shop.checked (id INT PRIMARY KEY, p INT, CONSTRAINT positive CHECK (p > 0))', 'INSERT INTO shop.checked VALUES (1, -1)'])
        shop.wait(lambda: shop.get('LastError')[0].endswith('DataMismatch'), 60, 'the row that the CHECK refuses')
        assert '4025' in shop.get('LastError')[1] and '`shop`.`checked`' in shop.get('LastError')[1]
        destination.admin('ALTER TABLE shop.checked DROP CONSTRAINT positive')
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait(lambda: 'came out otherwise' in shop.call('GetHistory', '(t)', 0), 60, 'a difference being told')
        shop.wait_caught_up()
        destination.script(['ALTER TABLE shop.child DROP FOREIGN KEY child_ibfk_1', 'ALTER TABLE shop.child DROP KEY p', 'ALTER TABLE shop.cut DROP KEY a, ADD KEY a (a(255))'])
        equal.wait_equal(source, destination, ['shop'])
        shop.wait(lambda: shop.get('ForeignWrites') == 4, 30, 'what was done by hand')
        shop.call('AcknowledgeForeignWrites', '(ta{sv}t)', 4, {}, 0)
        # Defaults of bytes: MySQL 5.6 leaves one where a key makes a column NOT NULL, and forgets that of a BLOB.
        for table, statements, mend in (
                        ('keyed', ['CREATE TABLE shop.keyed (a VARBINARY(20), b BINARY(4) NOT NULL DEFAULT "four")', 'ALTER TABLE shop.keyed ADD PRIMARY KEY (a)'],
                         "ALTER TABLE shop.keyed ALTER a SET DEFAULT ''"),
                        ('large', ["SET sql_mode=''", "CREATE TABLE shop.large (id INT PRIMARY KEY, b BLOB DEFAULT '')"], 'ALTER TABLE shop.large ALTER b DROP DEFAULT')):
                run(source, statements)
                shop.wait(lambda name=table, last=statements[-1].split()[0]: f'{last} TABLE `shop`.`{name}` was carried' in shop.call('GetHistory', '(t)', 0), 30, 'the statements')
                steps.make_ready(shop)
                with pytest.raises(OperationFailed) as refused:
                        shop.operate('Switch')
                assert refused.value.short == 'CheckFailed' and f'`shop`.`{table}`: column' in str(refused.value) and 'default' in str(refused.value), refused.value
                destination.admin(mend)
                shop.wait(lambda: shop.get('ForeignWrites') == 1, 30, 'what was done by hand')
                shop.call('AcknowledgeForeignWrites', '(ta{sv}t)', 1, {}, 0)
        equal.wait_equal(source, destination, ['shop'])
        steps.change_side(shop, 'Switch')
