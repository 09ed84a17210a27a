# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every check of the agent is made to fail, and where SQL can mend what it found, its hint's SQL is run to the letter and the check
passes then. One pair of servers for each kind of destination; cases come one after the other. tests/lint looks that no id is missing."""

import contextlib
import os
import pathlib
import re
import struct

import pytest

import accounts
import schemas
import servers
from test_engine_tools import check, every_privilege_is_named, tool

# What other tests make fail: id → module::test.
ELSEWHERE = {
    'source-version': 'test_engine_tools::test_check_versions',
    'destination-version': 'test_engine_tools::test_check_binlog_off',
    'same-server': 'test_engine_tools::test_check_versions',
    'binlog': 'test_engine_tools::test_check_binlog_off',
    'source-standby': 'test_engine_tools::test_check_healthy',
    'fence-global': 'test_checks::test_what_a_fence_of_accounts_says',
    'fence-durable': 'test_checks::test_always_said',
    'fence-hook': 'test_fence_hook::test_whole_life',
    'disk-space': 'test_checks::test_always_said',
    'tls': 'test_checks::test_always_said',
    'places': 'test_checks::test_addresses',
    'socket-visible': 'test_checks::test_addresses',
    'encryption': 'test-precheck.c',
    'charsets': 'test_checks::test_unknown_collation',
    'binlog-filter': 'test_checks::test_settings_of_the_start',
    'lower-case-table-names': 'test_checks::test_settings_of_the_start',
    'partitioning': 'test_checks::test_settings_of_the_start',
    'timestamp-defaults': 'test_checks::test_settings_of_the_start',
    'gtid': 'test_checks::test_settings_of_the_start',
    'innodb-format': 'test_checks::test_settings_of_the_start',
}

# What no case below mends by SQL: the test where it is mended otherwise, or why nothing can.
MENDED = {
    'binlog': 'its configuration: test_engine_tools::test_check_binlog_off',
    'binlog-filter': 'its configuration: test_checks::test_settings_of_the_start',
    'lower-case-table-names': 'its configuration: test_checks::test_settings_of_the_start',
    'timestamp-defaults': 'its configuration: test_checks::test_settings_of_the_start',
    'gtid': 'its configuration: test_checks::test_settings_of_the_start',
    'innodb-format': 'the SQL of its hint: test_checks::test_settings_of_the_start',
    'charsets': 'the SQL of its hint: test_checks::test_unknown_collation',
    'source-standby': 'a standby: test_checks::test_standby',
    'tls': 'the URI: test_tls::test_modes',
    'places': 'the URI: test_checks::test_addresses',
    'socket-visible': 'the URI: test_checks::test_addresses',
    'fence-global': 'the selection: test_engine_tools::test_check_objects; the SQL of its hint: test_checks::test_what_a_fence_of_accounts_says',
    'source-version': 'another server', 'destination-version': 'another server', 'same-server': 'another server',
    'fence-hook': 'an executable: test_fence_hook::test_whole_life',
    'fence-durable': 'a note that always holds', 'disk-space': 'a note that always holds',
    'encryption': 'a server that encrypts: test-precheck.c',
}

HINT = 'the SQL of the hint'
LAST = 'the last statement of the hint'

LONG = 'l' * 64
ZONE = ["INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (7001, 'N')",
        "INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Test/Zone', 7001)",
        "INSERT INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation) "
        "VALUES (7001, 0, 3600, 0, 'TST')"]
NO_ZONE = [f'DELETE FROM mysql.{table} WHERE Time_zone_id = 7001' for table in ('time_zone', 'time_zone_name', 'time_zone_transition_type')]

# (id, severity, what the message names, to break it on the source, on the destination, what mends it, to clean up on both)
# Broken and cleaned up by the administrator; mended by HINT, by [statements for the source, for the destination], or by None: not by SQL.
MARIADB = [
    ('server-id', 'error', 'server_id', [], ['SET GLOBAL server_id = {source_id}'], HINT, [], ['SET GLOBAL server_id = {destination_id}']),
    ('privileges', 'error', 'DELETE', ["REVOKE DELETE ON *.* FROM 'agent'@'%'"], [], HINT, [], []),
    ('privileges', 'error', 'READ ONLY ADMIN', [], ["REVOKE READ_ONLY ADMIN ON *.* FROM 'agent'@'%'"], HINT, [], []),
    ('source-read-only', 'error', 'read-only', ['SET GLOBAL read_only = 1'], [], HINT, [], []),
    ('source-replica', 'error', 'replica', ["CHANGE MASTER TO master_host='127.0.0.1', master_port=1, master_user='x'"], [], HINT, [], []),
    ('binlog-format', 'error', 'STATEMENT', ["SET GLOBAL binlog_format = 'STATEMENT'"], [], HINT, [], []),
    ('binlog-format', 'error', 'NOBLOB', [], ["SET GLOBAL binlog_row_image = 'NOBLOB'"], HINT, [], []),
    ('binlog-order', 'error', 'binlog_order_commits', ['SET GLOBAL binlog_order_commits = 0'], [], HINT, [], []),
    ('binlog-compression', 'note', 'log_bin_compress', [], ['SET GLOBAL log_bin_compress = 1'], HINT, [], []),
    ('binlog-retention', 'warning', '12.0 hours', [], ['SET GLOBAL expire_logs_days = 0.5'], HINT, [], ['SET GLOBAL expire_logs_days = 0']),
    ('binlog-retention', 'warning', 'RDS', ['CREATE TABLE mysql.rds_configuration (name VARCHAR(100) PRIMARY KEY, value VARCHAR(100)) ENGINE=InnoDB',
                                            "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL)",
                                            'CREATE PROCEDURE mysql.rds_set_configuration (n VARCHAR(100), v INT) '
                                            'UPDATE mysql.rds_configuration SET value = v WHERE name = n'], [], HINT,
     ['DROP TABLE mysql.rds_configuration', 'DROP PROCEDURE mysql.rds_set_configuration'], []),
    ('durability', 'note', 'sync_binlog', ['SET GLOBAL sync_binlog = 0'], [], HINT, [], []),
    ('objects', 'note', '`t`.`m`', ['CREATE TABLE t.m (a INT PRIMARY KEY) ENGINE=MyISAM'], [], HINT, ['DROP TABLE t.m'], []),
    ('programs', 'error', 'CREATE VIEW', ['CREATE VIEW t.v AS SELECT 1', "REVOKE CREATE VIEW ON *.* FROM 'agent'@'%'"], [], HINT, ['DROP VIEW t.v'], []),
    ('triggers', 'error', '`t`.`tr`', [], ['CREATE DATABASE t', 'CREATE TABLE t.base (a INT PRIMARY KEY, b INT)',
                                           'CREATE TRIGGER t.tr BEFORE INSERT ON t.base FOR EACH ROW SET NEW.b = 1'], HINT, [], ['DROP DATABASE t']),
    ('definers', 'warning', 'nobody', ["CREATE DEFINER='nobody'@'here' VIEW t.v AS SELECT 1"], [],
     ([], ["CREATE USER 'nobody'@'here'"]), ['DROP VIEW t.v'], ["DROP USER 'nobody'@'here'"]),
    ('row-keys', 'note', '`t`.`k`', ['CREATE TABLE t.k (a INT)'], [], LAST, ['DROP TABLE t.k'], []),
    ('row-keys', 'error', 'innodb_force_primary_key', ['CREATE TABLE t.k (a INT)'], ['SET GLOBAL innodb_force_primary_key = 1'], HINT, ['DROP TABLE t.k'], []),
    ('destination-empty', 'error', '`t`.`base`', [], ['CREATE DATABASE t', 'CREATE TABLE t.base (a INT)'], HINT, [], ['DROP DATABASE t']),
    ('max-allowed-packet', 'error', 'less than the source', [], ['SET GLOBAL max_allowed_packet = 1048576'], HINT, [],
     ['SET GLOBAL max_allowed_packet = 67108864']),
    ('sql-mode', 'note', 'ANSI_QUOTES', [], ["SET GLOBAL sql_mode = 'ANSI_QUOTES'"], HINT, [], ['SET GLOBAL sql_mode = {destination_mode}']),
    ('time-zone', 'note', '+05:00', [], ["SET GLOBAL time_zone = '+05:00'"], HINT, [], []),
    ('time-zone', 'note', '-03:00', ["SET GLOBAL time_zone = '-03:00'"], [], HINT, ["SET GLOBAL time_zone = 'SYSTEM'"], ["SET GLOBAL time_zone = 'SYSTEM'"]),
    ('parameters', 'note', 'div_precision_increment', [], ['SET GLOBAL div_precision_increment = 7'], HINT, [], []),
    ('parameters', 'note', 'tx_isolation', [], ["SET GLOBAL tx_isolation = 'READ-UNCOMMITTED'"], HINT, [], []),
    ('zone-tables', 'warning', 'tables of time zones', ZONE, [], ([], ZONE), NO_ZONE, NO_ZONE),
    ('zone-tables', 'error', 'Test/Zone', [*ZONE, "SET GLOBAL time_zone = 'Test/Zone'"], [], ([], ZONE), ["SET GLOBAL time_zone = 'SYSTEM'", *NO_ZONE], NO_ZONE),
    ('event-scheduler', 'warning', '1 events', ['CREATE EVENT t.e ON SCHEDULE EVERY 10 YEAR STARTS NOW() + INTERVAL 1 YEAR DO SELECT 1',
                                                'SET GLOBAL event_scheduler = 1'], [], HINT,
     ['SET GLOBAL event_scheduler = 0', 'DROP EVENT t.e'], ['SET GLOBAL event_scheduler = 0']),
    ('other-migrations', 'error', '1 other migrations', ['CREATE DATABASE polarshift', 'CREATE TABLE polarshift.owner (uuid CHAR(36) PRIMARY KEY)',
                                                         "INSERT INTO polarshift.owner VALUES ('theirs')"], [], HINT, ['DROP DATABASE polarshift'], []),
    ('xa', 'warning', '1 prepared XA', [], ['CREATE DATABASE x', 'CREATE TABLE x.x (a INT PRIMARY KEY)', "XA START 'it''s', 'b', 7", 'INSERT INTO x.x VALUES (1)',
                                           "XA END 'it''s', 'b', 7", "XA PREPARE 'it''s', 'b', 7"], LAST, [], ['DROP DATABASE x']),
    ('accounts', 'warning', "'both'@'%'", ["CREATE USER 'both'@'%' IDENTIFIED BY 'one'"], ["CREATE USER 'both'@'%' IDENTIFIED BY 'another'"], HINT,
     ["DROP USER 'both'@'%'"], []),
    ('accounts', 'warning', 'lacks CREATE USER', ["REVOKE CREATE USER ON *.* FROM 'agent'@'%'"], [], HINT, [], []),
    ('accounts', 'warning', 'lacks EVENT', ["CREATE USER 'timer'@'%' IDENTIFIED BY 't'", "GRANT EVENT ON t.* TO 'timer'@'%'"],
     ["REVOKE EVENT ON *.* FROM 'agent'@'%'"], HINT, ["DROP USER 'timer'@'%'"], []),
    ('super-accounts', 'note', "'zops'@'%'", ["GRANT SUPER ON *.* TO 'zops'@'%' IDENTIFIED BY 'zops'"], [], LAST, ["DROP USER 'zops'@'%'"], []),
    ('foreign-keys', 'error', '`t`.`gone`', ['CREATE TABLE t.gone (a INT PRIMARY KEY)', 'CREATE TABLE t.orphan (a INT PRIMARY KEY, '
                                             'CONSTRAINT f FOREIGN KEY (a) REFERENCES t.gone (a))', 'SET foreign_key_checks = 0', 'DROP TABLE t.gone'], [],
     HINT, ['DROP TABLE t.orphan'], []),
    ('row-format', 'error', '`t`.`c`', ["SET GLOBAL innodb_file_format = 'Barracuda'", 'CREATE TABLE t.c (a INT PRIMARY KEY) ROW_FORMAT=COMPRESSED'],
     ['SET GLOBAL innodb_read_only_compressed = ON'], HINT, ['DROP TABLE t.c', "SET GLOBAL innodb_file_format = 'Antelope'"], []),
    ('long-names', 'error', f'`{LONG}_ibfk_1`', ['CREATE TABLE t.parent (a INT PRIMARY KEY)',
                                        'CREATE TABLE t.child (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES t.parent (a) ON DELETE CASCADE)',
                                        f'RENAME TABLE t.child TO t.{LONG}'], [],
     HINT, [f'DROP TABLE t.{LONG[:50]}_renamed', 'DROP TABLE t.parent'], []),
    ('zero-dates', 'warning', 'column d of `t`.`z`', ["CREATE TABLE t.z (a INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00')"],
     ["SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE'"], HINT, ['DROP TABLE t.z'], ['SET GLOBAL sql_mode = {destination_mode}']),
    ('full-text', 'warning', '`t`.`f`', ['CREATE TABLE t.f (a INT PRIMARY KEY, b TEXT, FULLTEXT (b))'], ['SET GLOBAL innodb_ft_enable_stopword = OFF'],
     HINT, ['DROP TABLE t.f'], []),
    ('reserved-words', 'warning', 'column `recursive` of `t`.`w`', ['CREATE TABLE t.w (a INT PRIMARY KEY, recursive INT)'], [],
     (['ALTER TABLE t.w CHANGE recursive recurses INT'], []), ['DROP TABLE t.w'], []),
    ('reserved-words', 'warning', 'the body of procedure `t`.`p`', ['CREATE PROCEDURE t.p() BEGIN DECLARE except INT; SET except = 1; END'], [],
     (['DROP PROCEDURE t.p'], []), [], []),
    ('removed-sql', 'note', 'gtid_subset()', ["CREATE FUNCTION t.g() RETURNS INT DETERMINISTIC RETURN GTID_SUBSET('', '')"], [], HINT, [], []),
    ('node-specification', 'warning', 'max_connections', [], ['SET GLOBAL max_connections = 50'], HINT, [], ['SET GLOBAL max_connections = 300']),
    ('node-specification', 'warning', 'innodb_buffer_pool_size', [], ['SET GLOBAL innodb_buffer_pool_size = 134217728'], HINT, [],
     ['SET GLOBAL innodb_buffer_pool_size = 268435456']),
    ('other-objects', 'warning', 'loadable function `udf`', ["INSERT INTO mysql.func VALUES ('udf', 0, 'udf.so', 'function')"], [],
     (['DELETE FROM mysql.func'], []), [], []),
    ('other-objects', 'note', 'plugin `extra`', ["INSERT INTO mysql.plugin VALUES ('extra', 'extra.so')"], [], (['DELETE FROM mysql.plugin'], []), [], []),
    ('data-directory', 'note', '/elsewhere/t/far.ibd', ["CREATE TABLE t.far (a INT PRIMARY KEY) DATA DIRECTORY='{source_folder}/elsewhere'"], [],
     (['DROP TABLE t.far'], []), [], []),
    ('old-names', 'error', '`#mysql50#a-b`', ['CREATE DATABASE `#mysql50#a-b`', 'CREATE TABLE `#mysql50#a-b`.t (a INT PRIMARY KEY)'], [], HINT,
     ['DROP DATABASE `a-b`'], []),
    ('other-objects', 'warning', 'server (for FEDERATED tables) `far`', ["CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1')"], [],
     ([], ["CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1')"]), ['DROP SERVER far'], ['DROP SERVER far']),
    ('other-objects', 'warning', '`mine`', ['CREATE TABLE mysql.mine (a INT PRIMARY KEY) ENGINE=InnoDB'], [], (['RENAME TABLE mysql.mine TO t.mine'], []),
     ['DROP TABLE t.mine'], []),
    ('other-objects', 'warning', '`log_of_mine`', ['CREATE DATABASE sys', 'CREATE TABLE sys.log_of_mine (a INT PRIMARY KEY)'], [],
     (['RENAME TABLE sys.log_of_mine TO t.log_of_mine'], []), ['DROP DATABASE sys', 'DROP TABLE t.log_of_mine'], []),
]

MYSQL97 = [
    ('float-columns', 'error', 'column a of `t`.`d`', ['CREATE TABLE t.d (a DOUBLE PRIMARY KEY AUTO_INCREMENT)'], [], HINT, ['DROP TABLE t.d'], []),
    ('float-columns', 'note', '`t`.`d`', ['CREATE TABLE t.d (a INT PRIMARY KEY, f FLOAT(7,3))'], [], (['ALTER TABLE t.d MODIFY f FLOAT'], []),
     ['DROP TABLE t.d'], []),
    ('index-prefixes', 'error', '`g`', ['CREATE TABLE t.s (a INT PRIMARY KEY, g POINT NOT NULL, KEY g (g(10)))'], [], HINT, ['DROP TABLE t.s'], []),
    ('partitioning', 'error', '`t`.`k`', ['CREATE TABLE t.k (a VARCHAR(99), b INT, PRIMARY KEY (a(9), b)) PARTITION BY KEY () PARTITIONS 3'], [], HINT,
     ['DROP TABLE t.k'], []),
    ('partitioning', 'error', '`t`.`k`', ['CREATE TABLE t.k (a VARCHAR(99), b INT, KEY (a(9))) PARTITION BY RANGE (b) SUBPARTITION BY LINEAR KEY (a) '
                                          '(PARTITION p VALUES LESS THAN (7))'], [], HINT, ['DROP TABLE t.k'], []),
    ('partitioning', 'error', 'limits of partitions of `t`.`d`', ["CREATE TABLE t.d (s VARCHAR(9), d DATE) PARTITION BY LIST COLUMNS (s, d) "
                                                                  "(PARTITION p VALUES IN (('it''s 2.1','2000-1-31'),('x','2000.01.31')))"], [], HINT,
     ['DROP TABLE t.d'], []),
    ('accounts', 'warning', 'a pattern', ["GRANT SELECT ON `sh%`.* TO 'wild'@'%' IDENTIFIED BY 'w'"], ['SET GLOBAL partial_revokes = ON'], HINT,
     ["DROP USER 'wild'@'%'"], []),
    ('long-members', 'error', 'column e of `t`.`e`', [f"CREATE TABLE t.e (a INT PRIMARY KEY, e ENUM('short','it''s {'x' * 255}'))"], [],
     (["ALTER TABLE t.e MODIFY e ENUM('short')"], []), ['DROP TABLE t.e'], []),
    ('spatial', 'note', '`t`.`s`', ['CREATE TABLE t.s (a INT PRIMARY KEY, g POINT NOT NULL)'], [], (['ALTER TABLE t.s DROP g'], []), ['DROP TABLE t.s'], []),
    ('long-names', 'error', f'`{LONG}_ibfk_1`', ['CREATE TABLE t.parent (a INT PRIMARY KEY)',
                                        'CREATE TABLE t.child (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES t.parent (a) ON DELETE CASCADE)',
                                        f'RENAME TABLE t.child TO t.{LONG}'], [],
     HINT, [f'DROP TABLE t.{LONG[:50]}_renamed', 'DROP TABLE t.parent'], []),
    ('reserved-words', 'warning', 'table `t`.`rank` and 1 more', ['CREATE TABLE t.rank (a INT PRIMARY KEY, rank INT)'], [],
     (['ALTER TABLE t.rank CHANGE rank place INT', 'RENAME TABLE t.rank TO t.places'], []), ['DROP TABLE t.places'], []),
    ('removed-sql', 'note', 'view `t`.`v` uses the function password()', ["CREATE VIEW t.v AS SELECT PASSWORD('x')"], [], HINT, [], []),
    ('removed-sql', 'note', 'procedure `t`.`p` uses the function des_encrypt()', ["CREATE PROCEDURE t.p() SELECT DES_ENCRYPT('x') /* sha1() */"], [],
     HINT, [], []),
    ('removed-sql', 'note', 'event `t`.`e` uses the function encode()',
     ["CREATE EVENT t.e ON SCHEDULE EVERY 1 YEAR DISABLE DO SELECT 'it''s contains()', ENCODE('a', 'b')"], [], HINT, [], []),
    ('removed-sql', 'note', 'trigger `t`.`tr` uses the function contains()',
     ['CREATE TRIGGER t.tr BEFORE INSERT ON t.base FOR EACH ROW SET @x = CONTAINS(POINT(1, 1), POINT(1, 1))'], [], HINT, [], []),
    ('removed-sql', 'note', 'procedure `t`.`p` uses SQL_CACHE', ['CREATE PROCEDURE t.p() SELECT SQL_CACHE 1'], [], HINT, [], []),
    ('removed-sql', 'note', 'GROUP BY … ASC or DESC', ['CREATE VIEW t.v AS SELECT a FROM t.base GROUP BY a DESC'], [], HINT, [], []),
    ('removed-sql', 'note', 'PROCEDURE ANALYSE', ['CREATE PROCEDURE t.p() SELECT a FROM t.base PROCEDURE ANALYSE()'], [], HINT, [], []),
    ('accounts', 'warning', "cannot check the password of account 'late'@'%'", ["CREATE USER 'late'@'%' IDENTIFIED BY 'x'"], [],
     ([], ["CREATE USER 'late'@'%' IDENTIFIED BY 'new'"]), ["DROP USER 'late'@'%'"], ["DROP USER 'late'@'%'"]),
    ('definers', 'error', 'SYSTEM_USER', ["CREATE DEFINER='root'@'localhost' VIEW t.v AS SELECT 1"], [], HINT, ['DROP VIEW t.v'],
     ["REVOKE SYSTEM_USER ON *.* FROM 'agent'@'%'"]),
    ('sql-mode', 'note', 'ANSI_QUOTES', ["SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_AUTO_CREATE_USER'"], [], HINT, ["SET GLOBAL sql_mode = 'NO_ENGINE_SUBSTITUTION'"],
     ["SET GLOBAL sql_mode = {destination_mode}"]),
    ('parameters', 'note', 'group_concat_max_len', [], ['SET GLOBAL group_concat_max_len = 77'], HINT, [], []),
    ('parameters', 'note', 'transaction_isolation', ["SET GLOBAL tx_isolation = 'SERIALIZABLE'"], [], HINT, ["SET GLOBAL tx_isolation = 'REPEATABLE-READ'"],
     ["SET GLOBAL transaction_isolation = 'REPEATABLE-READ'"]),
]

MARIADB118 = [
    ('binlog-retention', 'warning', 'an hour', [], ['SET GLOBAL max_binlog_total_size = 4096'], HINT, [], []),
]

SQL = re.compile(r"\b((?:XA COMMIT|XA ROLLBACK|SET GLOBAL|ALTER|DROP|GRANT|CREATE|REVOKE|STOP|RESET|CALL|DELETE|RENAME)\b(?:[^;'`]|'(?:[^'\\]|\\.)*'|`[^`]*`)*;)")


def found(rows, name):
        """What a check says beside ok."""
        return [row for row in rows.get(name, []) if row[0] != 'ok']


def kinds(rows):
        return {name: sorted((row[0], row[1]) for row in rows[name] if row[0] != 'ok') for name in rows if name != 'verdict'}


def run_hint(hint, message, source, destination, which):
        statements = [m.group(1) for m in SQL.finditer(hint) if '...' not in m.group(1)]
        assert statements, f'no SQL in the hint: {hint}'
        place = hint if 'on the destination' in hint or 'on the source' in hint else message
        at = destination if re.search(r'(on|of) the destination|the destination (keeps|may|compresses|is an RDS)', place) else source
        for sql in statements if which == HINT else statements[-1:]:
                at.admin(sql)


@contextlib.contextmanager
def broken(source, destination, case):
        _, _, _, on_source, on_destination, _, clean_source, clean_destination = case
        values = {'source_id': source.server_id, 'source_folder': source.folder, 'destination_id': destination.server_id,
                  'destination_mode': servers.quote(str(destination.variable('sql_mode')))}
        for server, statements in ((source, on_source), (destination, on_destination)):
                server.script([s.format(**values) if '{' in s else s for s in statements])
        try:
                yield
        finally:
                for server, statements in ((source, clean_source), (destination, clean_destination)):
                        server.script([s.format(**values) if '{' in s else s for s in statements])


def run_cases(source, destination, cases):
        source.script(['CREATE DATABASE t', 'CREATE TABLE t.base (a INT PRIMARY KEY, b INT)'])
        before = kinds(check(source, destination, 'unfit=skip'))
        for case in cases:
                name, severity, text, _, _, mend, _, _ = case
                with broken(source, destination, case):
                        rows = check(source, destination, 'unfit=skip')
                        bad = [row for row in found(rows, name) if row[0] == severity and text in row[2]]
                        assert bad, (case, rows[name])
                        if mend in (HINT, LAST):
                                run_hint(bad[0][3], bad[0][2], source, destination, mend)
                        else:
                                for server, statements in zip((source, destination), mend):
                                        server.script(statements)
                        again = check(source, destination, 'unfit=skip')
                        assert not [row for row in found(again, name) if text in row[2]], (case, again[name])
                assert kinds(check(source, destination, 'unfit=skip')) == before, case
        assert len({case[0] for case in cases}) > len(cases) / 3


def other_release(server, kind):
        if kind.missing() and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(kind.missing())
        return server(kind)


def test_mariadb(pair):
        run_cases(*pair, MARIADB)


def test_mysql97(server):
        destination = other_release(server, servers.MySQL97)
        source = server(servers.MySQL56)
        run_cases(source, destination, MYSQL97)
        every_privilege_is_named(source, destination)
        # The list of accounts says what becomes of a password.
        source.script(["CREATE USER 'late'@'%' IDENTIFIED BY 'x'", 'CREATE TABLE t.parent (a INT PRIMARY KEY)',
                       'CREATE TABLE t.child (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES t.parent (a) ON DELETE CASCADE)'])
        for text, severity in (('leave', None), ('password secret', 'note')):
                rows = check(source, destination, 'unfit=skip', ACCOUNTS=f"'late'@'%' {text}\n'app'@'%' leave\n")
                assert [row[0] for row in found(rows, 'accounts') if "'late'" in row[2]] == ([severity] if severity else []), rows['accounts']
        # Where cascades are carried out above InnoDB, some are refused.
        assert 'innodb_native_foreign_keys' in [row for row in rows['foreign-keys'] if row[0] == 'warning'][0][3]
        destination.config.append('innodb_native_foreign_keys=ON')
        destination.restart()
        assert {row[0] for row in check(source, destination, 'unfit=skip')['foreign-keys']} == {'note'}


def test_mariadb118(server):
        destination = other_release(server, servers.MariaDB118)
        run_cases(server(servers.MySQL56), destination, MARIADB118)


def test_always_said(pair):
        """What cannot be known from outside, or holds always, is a note."""
        source, destination = pair
        schemas.create_shop(source, customers=20)
        rows = check(source, destination, 'unfit=skip')
        for name, text in (('disk-space', 'cannot be seen from here'), ('encryption', 'cannot be seen from here'), ('fence-durable', 'read_only'),
                           ('tls', 'not encrypted')):
                assert [row for row in rows[name] if row[0] == 'note' and text in row[2]], (name, rows[name])


def test_what_a_fence_of_accounts_says(pair):
        """fence=accounts: who is locked, a standby's account among them, and grants that hold for everybody."""
        source, destination = pair
        source.script(['CREATE DATABASE t', 'CREATE TABLE t.base (a INT PRIMARY KEY, b INT)'])

        def look(*options):
                return check(source, destination, 'unfit=skip', 'fence=accounts', *options)['fence-global']
        assert [row[2].split(',')[0] for row in look()] == [f'1 accounts of the {side} that can write are locked' for side in ('source', 'destination')]
        for side, server in (('source', source), ('destination', destination)):
                before = look()
                assert {row[0] for row in before} == {'ok'}, before
                server.admin("GRANT REPLICATION SLAVE ON *.* TO 'app'@'%'")
                rows = [row for row in look() if row[0] == 'warning']
                assert len(rows) == 1 and f'of the {side}' in rows[0][2] and "'app'@'%'" in rows[0][2], rows
                # "give standbys an account with REPLICATION SLAVE alone": such a one is not named.
                server.script(["REVOKE REPLICATION SLAVE ON *.* FROM 'app'@'%'", "GRANT REPLICATION SLAVE ON *.* TO 'standby'@'%' IDENTIFIED BY 's'"])
                assert look() == before
                server.script(["DROP USER 'standby'@'%'", "INSERT INTO mysql.db (Host, Db, User, Insert_priv) VALUES ('%', 't', '', 'Y')", 'FLUSH PRIVILEGES'])
                rows = [row for row in look() if row[0] == 'note']
                assert len(rows) == 1 and f'the anonymous user of the {side}' in rows[0][2], rows
                server.script([rows[0][3][rows[0][3].index('DELETE'):].split(';')[0], 'FLUSH PRIVILEGES'])
                assert look() == before
        assert [row[0] for row in look('include=t')].count('warning') == 1


def test_statements_do_not_grow(pair):
        """With ten times as many objects of each kind both servers are asked as often as before, but for the text of each view, routine, trigger and
        event, which is read once: what the checks cost is the servers' own work."""
        def asked():
                return [int(dict(server.admin("SHOW GLOBAL STATUS LIKE 'Questions'"))['Questions']) for server in pair]
        source, destination = pair
        source.script(['CREATE DATABASE t'])
        costs = []
        for numbers in (range(3), range(3, 30)):
                for n in numbers:
                        source.script([f"CREATE TABLE t.a{n} (a INT PRIMARY KEY, d DATE NOT NULL DEFAULT '2000-01-01', f FLOAT(7,3), t TEXT, FULLTEXT (t))",
                                       f"CREATE TABLE t.b{n} (a INT, e ENUM('x'), FOREIGN KEY (a) REFERENCES t.a{n} (a) ON DELETE CASCADE)",
                                       f'CREATE TABLE t.p{n} (a INT PRIMARY KEY, recursive INT) PARTITION BY KEY () PARTITIONS 2', f'CREATE VIEW t.v{n} AS SELECT 1',
                                       f'CREATE PROCEDURE t.r{n}() BEGIN DECLARE except INT; SET except = 1; END',
                                       f'CREATE TRIGGER t.g{n} BEFORE INSERT ON t.a{n} FOR EACH ROW SET NEW.f = 1',
                                       f"CREATE EVENT t.e{n} ON SCHEDULE EVERY 10 YEAR STARTS '2037-01-01' DO SELECT 1",
                                       f"GRANT SELECT (a), UPDATE ON t.a{n} TO 'u{n}'@'%' IDENTIFIED BY 'u'"])
                check(source, destination, 'unfit=skip')        # opens what is new
                before = asked()
                rows = check(source, destination, 'unfit=skip')
                costs.append([after - once for after, once in zip(asked(), before)])
        assert 'and 29 more' in str(rows), rows
        assert costs[1] == [costs[0][0] + 4 * 27, costs[0][1]] and max(costs[0]) < 100
        accounts.drop_all(source)


def test_every_check_is_mended():
        """A check without a case that mends it is named, with where or why; tests/lint looks that it has one that breaks it."""
        table = (pathlib.Path(__file__).resolve().parents[2] / 'daemon/engine/precheck.c').read_text(encoding='utf-8')
        ids = set(re.findall(r'^\s*\{"([a-z][a-z-]+)", STAGE_', table, re.M))
        by_case = {case[0] for case in (*MARIADB, *MYSQL97, *MARIADB118) if case[5]}
        assert ids - by_case == set(MENDED)
        here = pathlib.Path(__file__).parent
        for place in MENDED.values():
                for module, name in re.findall(r'(test_\w+)::(test_\w+)', place):
                        assert f'def {name}(' in (here / f'{module}.py').read_text(encoding='utf-8'), place


def test_standby(pair):
        """A session that reads the log counts; the agent's own does not."""
        source, destination = pair
        source.script(['CREATE DATABASE t', 'CREATE TABLE t.base (a INT PRIMARY KEY, b INT)', "GRANT REPLICATION SLAVE ON *.* TO 'app'@'%'"])
        for user, password, severity in (('agent', servers.AGENT_PASSWORD, 'warning'), ('app', servers.APP_PASSWORD, 'ok')):
                with contextlib.closing(source.connect(user, password)) as reader:
                        reader.cursor().execute('SET @master_binlog_checksum = @@global.binlog_checksum')
                        reader._execute_command(18, struct.pack('<IHI', 4, 0, 77) + b'binlog.000001')   # pylint: disable=protected-access
                        assert reader._read_packet().is_ok_packet()                                     # pylint: disable=protected-access
                        assert [row[0] for row in check(source, destination, 'unfit=skip')['source-standby']] == [severity]


def test_addresses(pair):
        """What the URIs say: regions, zones, sockets."""
        source, destination = pair
        source.script(['CREATE DATABASE t', 'CREATE TABLE t.base (a INT PRIMARY KEY, b INT)'])

        def look(a, b):
                rows = {}
                for line in tool('check', 'start', 'u', a, b, 'unfit=skip'):
                        rows.setdefault(line[0], []).append(tuple(line[1:]))
                return rows
        uri = [server.uri('agent') for server in pair]
        rows = look(uri[0] + '&region=here&zone=a', uri[1] + '&region=there&zone=a')
        assert [row[0] for row in rows['places']] == ['error'] and 'here and there' in rows['places'][0][2]
        rows = look(uri[0] + '&region=here&zone=a', uri[1] + '&region=here&zone=b')
        assert [row[0] for row in rows['places']] == ['warning']
        for ends in (('&region=here&zone=a', '&region=here&zone=a'), ('&region=here', '')):
                rows = look(uri[0] + ends[0], uri[1] + ends[1])
                assert [row[0] for row in rows['places']] == ['ok']
        rows = look(f'mysql://agent@localhost/?socket={source.socket}', uri[1])
        shown = source.socket.startswith('/tmp/')
        assert [row[0] for row in rows['socket-visible']] == (['note'] if shown else ['ok'])


def test_unknown_collation(pair):
        """A collation that the other server never heard of; MySQL 5.6 has none that MariaDB lacks, so they change sides."""
        source, destination = pair
        destination.script(['CREATE DATABASE t CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci',
                            'CREATE TABLE t.c (a VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY)'])
        rows = check(destination, source, 'unfit=skip')
        assert [row[:2] for row in rows['charsets']] == [('error', 'UnsupportedObject')] * 2
        assert 'database t' in rows['charsets'][0][2] and 'column a of `t`.`c`' in rows['charsets'][1][2]
        for row in rows['charsets']:
                for sql in SQL.findall(row[3]):
                        destination.admin(sql)
        assert [row[0] for row in check(destination, source, 'unfit=skip')['charsets']] == ['ok']


def test_settings_of_the_start(server):
        """What only a restart changes: each is seen, and goes when the configuration is put right."""
        odd = ['binlog-ignore-db=elsewhere', 'lower_case_table_names=1', 'partition=OFF', 'innodb_ft_min_token_size=2',
               'skip:gtid_mode', 'skip:enforce-gtid-consistency']
        source = server(servers.MySQL56, config=['explicit_defaults_for_timestamp=1', 'skip:gtid_mode', 'skip:enforce-gtid-consistency'])
        destination = server(servers.MySQL56, config=odd)
        source.script(["SET GLOBAL innodb_file_format = 'Barracuda', GLOBAL innodb_large_prefix = 1", 'CREATE DATABASE t',
                       'CREATE TABLE t.p (a INT PRIMARY KEY) PARTITION BY KEY (a) PARTITIONS 3',
                       'CREATE TABLE t.f (a INT PRIMARY KEY, b TEXT, FULLTEXT (b))'])
        rows = check(source, destination, 'unfit=skip')
        expected = {'binlog-filter': 'error', 'lower-case-table-names': 'error', 'partitioning': 'error', 'timestamp-defaults': 'error',
                    'full-text': 'warning', 'gtid': 'note', 'innodb-format': 'warning'}
        for name, severity in expected.items():
                assert severity in {row[0] for row in rows[name]}, (name, rows[name])
        for row in found(rows, 'innodb-format'):
                run_hint(row[3], row[2], source, destination, HINT)
        destination.config = [*(f'{n}={v}' for n, v in (('explicit_defaults_for_timestamp', 1), ('innodb_file_format', 'Barracuda'),
                                                        ('innodb_large_prefix', 1)))]
        assert not found(check(source, destination, 'unfit=skip'), 'innodb-format')
        destination.restart()
        rows = check(source, destination, 'unfit=skip')
        for name in expected:
                assert name == 'gtid' or not found(rows, name), (name, rows[name])
