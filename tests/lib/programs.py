# SPDX-License-Identifier: LGPL-2.1-or-later
"""Views, routines, triggers and events for the shop of schemas.py, and a reader of its own that compares them on two servers.

The triggers write rows of their own (`audit`) and change what is written; the log of the workload, `ledger_log`, is audited
row by row, so that a trigger that fires twice, or on the wrong side, is seen in the counts."""

import hashlib

import pymysql

import equal

KEEPER_PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE', 'TRIGGER', 'EVENT', 'SHOW VIEW']

TABLES = [
    """CREATE TABLE audit (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, tbl VARCHAR(32) NOT NULL, moment VARCHAR(20) NOT NULL,
       a BIGINT, b BIGINT, note VARCHAR(100), KEY (tbl, moment, a)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE ticks (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, who VARCHAR(20) NOT NULL, at DATETIME(6) NOT NULL,
       server BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
]

KEEPER = "DEFINER=`keeper`@`%`"


def _audit(table, timing, action, row, a, b, extra='', word='Größe 😀'):
        return f"""CREATE {KEEPER} TRIGGER {table}_{timing.lower()}_{action.lower()} {timing} {action} ON {table} FOR EACH ROW
BEGIN
  DECLARE n INT DEFAULT 0; -- a comment; with a semicolon
  {extra}
  IF {row}.{a} IS NOT NULL THEN
    INSERT INTO audit (tbl, moment, a, b, note) VALUES ('{table}', '{timing} {action}', {row}.{a}, {row}.{b}, '{word}; "{timing}" `x`');
  END IF;
END"""


# (settings of the session, statement)
PLAIN = "SET NAMES utf8mb4; SET sql_mode='NO_ENGINE_SUBSTITUTION'"
PROGRAMS = [
    # What a_view needs comes later in the alphabet, and calls a function.
    (PLAIN, f"CREATE {KEEPER} FUNCTION net(price DECIMAL(12,2)) RETURNS DECIMAL(12,2) DETERMINISTIC RETURN ROUND(price / 1.19, 2)"),
    (PLAIN, f"CREATE {KEEPER} FUNCTION how_many() RETURNS BIGINT READS SQL DATA SQL SECURITY INVOKER COMMENT 'of ''all'''\n"
            "BEGIN\n  DECLARE n BIGINT;\n  SELECT COUNT(*) INTO n FROM products;\n  RETURN n;\nEND"),
    ("SET NAMES latin1; SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT,NO_AUTO_CREATE_USER,NO_BACKSLASH_ESCAPES'",
     "CREATE DEFINER=\"keeper\"@\"%\" FUNCTION \"grüße\"(x VARCHAR(40)) RETURNS VARCHAR(80) CHARSET latin1 DETERMINISTIC COMMENT 'für ''alle''' "
     "RETURN 'Grüße \\ ' || x"),
    (PLAIN, f"CREATE {KEEPER} PROCEDURE count_up(IN many INT, OUT total INT) MODIFIES SQL DATA\n"
            "BEGIN\n  SET total = 0;\n  again: LOOP\n    SET total = total + 1;\n    IF total >= many THEN LEAVE again; END IF;\n"
            "  END LOOP;\nEND"),
    (PLAIN, f"CREATE {KEEPER} SQL SECURITY INVOKER VIEW z_view AS SELECT id, sku, net(price) AS net, title FROM products WHERE active = 1"),
    (PLAIN, f"CREATE {KEEPER} VIEW m_view AS SELECT z.id, z.net, s.quantity FROM z_view z JOIN stock s ON s.product_id = z.id"),
    (PLAIN, f"CREATE ALGORITHM=MERGE {KEEPER} VIEW a_view AS SELECT id, net, 'é' AS accent FROM m_view WHERE net > 5 WITH CASCADED CHECK OPTION"),
    ("SET NAMES latin1; SET sql_mode=''", f"CREATE {KEEPER} VIEW latin_view AS SELECT id, 'größe' AS word FROM products WHERE title <> 'für'"),
    (PLAIN, f"""CREATE {KEEPER} TRIGGER log_after AFTER INSERT ON ledger_log FOR EACH ROW
                INSERT INTO audit (tbl, moment, a, b) VALUES ('ledger_log', 'AFTER INSERT', NEW.writer, NEW.seq)"""),
    (PLAIN, _audit('customers', 'BEFORE', 'INSERT', 'NEW', 'id', 'id', "SET NEW.country = 'ZZ', NEW.notes = CONCAT('noticed ', n);")),
    (PLAIN, _audit('customers', 'AFTER', 'INSERT', 'NEW', 'id', 'id')),
    (PLAIN, _audit('orders', 'BEFORE', 'UPDATE', 'OLD', 'id', 'customer_id', 'SET NEW.total = NEW.total + 0.01;')),
    (PLAIN, _audit('orders', 'AFTER', 'UPDATE', 'NEW', 'id', 'customer_id')),
    ("SET NAMES utf8; SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_CREATE_USER'", _audit('orders', 'BEFORE', 'DELETE', 'OLD', 'id', 'customer_id', word='Größe')),
    (PLAIN, _audit('payments', 'AFTER', 'DELETE', 'OLD', 'order_id', 'order_id')),
    (PLAIN, f"""CREATE {KEEPER} EVENT tick ON SCHEDULE EVERY 1 SECOND STARTS '2014-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'ON COMPLETION PRESERVE'
                DO INSERT INTO ticks (who, at, server) VALUES ('tick', NOW(6), @@server_id)"""),
    ("SET NAMES latin1; SET sql_mode=''; SET time_zone='-03:00'",
     f"CREATE {KEEPER} EVENT `täglich` ON SCHEDULE EVERY 1 SECOND STARTS '2014-01-01 00:00:00' COMMENT 'für ''alle''' DO INSERT INTO ticks (who, at, server) "
     "VALUES ('größer', NOW(6), @@server_id)"),
    (PLAIN + "; SET time_zone='+05:30'",
     f"CREATE {KEEPER} EVENT `at ease` ON SCHEDULE EVERY 1 SECOND DISABLE DO INSERT INTO ticks (who, at, server) VALUES ('never', NOW(6), @@server_id)"),
]


def create(server):
        """Into the database shop, which is there. The tables first, then everything else in the sessions that it needs."""
        server.script(TABLES, db='shop')
        for settings, sql in PROGRAMS:
                with server.connect(db='shop', charset='latin1' if 'latin1' in settings else 'utf8mb4') as c, c.cursor() as cursor:
                        for setting in settings.split('; '):
                                cursor.execute(setting)
                        cursor.execute(sql)


def create_keeper(server, name='keeper'):
        server.script(['SET sql_log_bin=0', f"CREATE USER '{name}'@'%' IDENTIFIED BY 'keeps'",
                       f"GRANT {', '.join(KEEPER_PRIVILEGES)} ON *.* TO '{name}'@'%'"])


def drop_keeper(server, name='keeper'):
        if server.scalar('SELECT COUNT(*) FROM mysql.user WHERE user = %s', (name,)):
                server.script(['SET sql_log_bin=0', f"DROP USER '{name}'@'%'"])


# ---- comparing

GONE_MODES = {'NO_AUTO_CREATE_USER'}    # of no meaning for a program, and not known to MySQL 8 any more


def _mode(text, flavors):
        modes = set(text.split(',')) - {''}
        return frozenset(modes - GONE_MODES if 'mysql97' in flavors else modes)


def _charset(text):
        return text and text.replace('utf8mb3', 'utf8')


def _quote(name):
        return '`' + name.replace('`', '``') + '`'


def _body(text):
        return ' '.join(text.split()).replace('`', '')


def read(server, flavors, db='shop'):
        """{(type, name): what it is}; triggers and events with all, routines with their parameters, views with what they show."""
        found = {}
        widths = 'mysql97' not in flavors
        with server.connect(charset='utf8mb4') as c, c.cursor() as cursor:
                def rows(sql):
                        cursor.execute(sql, (db,))
                        return cursor.fetchall()

                parameters = {}         # what a function returns is its first one
                for name, kind, position, mode, parameter, sql, charset, collation in rows(
                                'SELECT SPECIFIC_NAME, ROUTINE_TYPE, ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER, CHARACTER_SET_NAME, '
                                'COLLATION_NAME FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = %s ORDER BY 1, 2, 3'):
                        parameters.setdefault((kind, name), []).append(
                                (position, mode, parameter, equal._kind(sql, widths), _charset(charset), _charset(collation)))   # pylint: disable=protected-access
                for name, kind, definer, security, mode, client, collation, database, body, comment, access, deterministic in rows(
                                'SELECT ROUTINE_NAME, ROUTINE_TYPE, DEFINER, SECURITY_TYPE, SQL_MODE, CHARACTER_SET_CLIENT, '
                                'COLLATION_CONNECTION, DATABASE_COLLATION, ROUTINE_DEFINITION, ROUTINE_COMMENT, SQL_DATA_ACCESS, IS_DETERMINISTIC '
                                'FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s'):
                        found[kind.lower(), name] = (definer, security, _mode(mode, flavors), _charset(client), _charset(collation),
                                                     _charset(database), _body(body), comment, access, deterministic, parameters.get((kind, name)))
                for name, definer, security, check, client, collation in rows(
                                'SELECT TABLE_NAME, DEFINER, SECURITY_TYPE, CHECK_OPTION, CHARACTER_SET_CLIENT, COLLATION_CONNECTION '
                                'FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s'):
                        try:
                                cursor.execute(f'SELECT * FROM {_quote(db)}.{_quote(name)}')
                                rows_of_it = hashlib.sha256(repr(sorted(cursor.fetchall())).encode()).hexdigest()
                        except pymysql.err.MySQLError as e:
                                rows_of_it = e.args[0]
                        found['view', name] = (definer, security, check, _charset(client), _charset(collation), rows_of_it)
                for name, table, timing, action, definer, mode, client, collation, database, body in rows(
                                'SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, '
                                'COLLATION_CONNECTION, DATABASE_COLLATION, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s'):
                        found['trigger', name] = (table, timing, action, definer, _mode(mode, flavors), _charset(client), _charset(collation),
                                                  _charset(database), _body(body))
                for name, definer, zone, body, kind, at, value, field, mode, starts, ends, done, client, collation, database, comment in rows(
                                'SELECT EVENT_NAME, DEFINER, TIME_ZONE, EVENT_DEFINITION, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, '
                                'SQL_MODE, STARTS, ENDS, ON_COMPLETION, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION, EVENT_COMMENT '
                                'FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s'):
                        found['event', name] = (definer, zone, _body(body), kind, at, value, field, _mode(mode, flavors), starts, ends, done,
                                                _charset(client), _charset(collation), _charset(database), comment)
        return found


def compare(writer, reader, db='shop'):
        """What differs, as text. Triggers are on the side that takes writes only."""
        flavors = {writer.flavor, reader.flavor}
        a, b = read(writer, flavors, db), read(reader, flavors, db)
        differences = [f'{key}: {a.get(key)}\n  against {b.get(key)}' for key in sorted(set(a) | set(b))
                       if key[0] != 'trigger' and a.get(key) != b.get(key)]
        return differences + [f'{key} is on the side that must not fire' for key in b if key[0] == 'trigger']


def triggers(server, db='shop'):
        return {key: value for key, value in read(server, {server.flavor, 'mysql97'}, db).items() if key[0] == 'trigger'}


def enabled_events(server, db='shop'):
        return {name for name, in server.admin("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' "
                                               'AND EVENT_SCHEMA = %s', (db,))}


def audited_once(server, db='shop'):
        """Every row of the workload's log was noticed by its trigger exactly once."""
        log = server.scalar(f'SELECT COUNT(*) FROM {db}.ledger_log')
        noticed, different = server.admin(f"SELECT COUNT(*), COUNT(DISTINCT a, b) FROM {db}.audit WHERE tbl = 'ledger_log'")[0]
        assert log == noticed == different, (log, noticed, different)
        odd = server.admin(f'SELECT tbl, moment, a, COUNT(*) FROM {db}.audit WHERE tbl = %s GROUP BY 1, 2, 3 HAVING COUNT(*) <> 1 LIMIT 5',
                           ('customers',))
        assert [row for row in odd if row[2]] == [], odd
        return log
