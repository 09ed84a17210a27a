# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts of every kind, and a reader of accounts that shares nothing with the agent: grants from SHOW GRANTS, everything else from the
columns of mysql.user."""

import re

import pymysql

import servers

OLD_HASH = '6f8c114b58f2ce9e'     # OLD_PASSWORD('mypass')
ODD_USERS = ["o'brien", 'back`tick', 'per%cent', 'under_score', 'ü', 'b\\s', 'blank s', '"double"']

FIXTURE = [
    'CREATE DATABASE IF NOT EXISTS shop',
    'CREATE DATABASE `sh_op`', 'CREATE DATABASE `q``uote`',
    'CREATE TABLE shop.stores (id INT PRIMARY KEY, name VARCHAR(20), `o``dd` INT)',
    'CREATE TABLE shop.dropped (id INT PRIMARY KEY)',
    'CREATE TABLE `q``uote`.`t``able` (id INT PRIMARY KEY)',
    "CREATE DEFINER='definer'@'%' PROCEDURE shop.proc() SELECT 1",
    "CREATE DEFINER='definer'@'%' FUNCTION shop.func() RETURNS INT DETERMINISTIC RETURN 7",
    # who may do what
    "CREATE USER 'definer'@'%' IDENTIFIED BY 'definer'", "GRANT EXECUTE, SELECT ON shop.* TO 'definer'@'%'",
    "CREATE DEFINER='definer'@'%' VIEW shop.seven AS SELECT shop.func() AS seven",
    "CREATE USER 'plain'@'%' IDENTIFIED BY 'plain'", "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO 'plain'@'%'",
    "CREATE USER 'escaped'@'%' IDENTIFIED BY 'escaped'", 'GRANT SELECT ON `sh\\_op`.* TO \'escaped\'@\'%\' WITH GRANT OPTION',
    "CREATE USER 'wild'@'10.0.%' IDENTIFIED BY 'wild'", "GRANT SELECT ON `sh%`.* TO 'wild'@'10.0.%'",
    "CREATE USER 'mask'@'192.168.1.0/255.255.255.0' IDENTIFIED BY 'mask'",
    "GRANT ALL ON `q``uote`.* TO 'mask'@'192.168.1.0/255.255.255.0'",
    "CREATE USER ''@'198.51.100.7'", "GRANT SELECT ON shop.* TO ''@'198.51.100.7'",
    "CREATE USER 'nopassword'@'127.0.0.1'", "GRANT SELECT ON shop.* TO 'nopassword'@'127.0.0.1'",
    "CREATE USER 'old'@'%' IDENTIFIED WITH mysql_old_password", "GRANT SELECT ON shop.* TO 'old'@'%'",
    "GRANT USAGE ON *.* TO 'tls_any'@'%' IDENTIFIED BY 'tls' REQUIRE SSL",
    "GRANT USAGE ON *.* TO 'tls_x509'@'%' IDENTIFIED BY 'tls' REQUIRE X509",
    "GRANT USAGE ON *.* TO 'tls_spec'@'%' IDENTIFIED BY 'tls' REQUIRE SUBJECT '/CN=it''s \\\\me' AND ISSUER '/CN=ca' AND CIPHER 'AES128-SHA'",
    "GRANT USAGE ON *.* TO 'limits'@'%' IDENTIFIED BY 'limits' WITH MAX_QUERIES_PER_HOUR 11 MAX_UPDATES_PER_HOUR 12 "
    'MAX_CONNECTIONS_PER_HOUR 13 MAX_USER_CONNECTIONS 14',
    "CREATE USER 'expired'@'%' IDENTIFIED BY 'expired'", "ALTER USER 'expired'@'%' PASSWORD EXPIRE",
    "GRANT PROCESS, RELOAD, REPLICATION CLIENT, REPLICATION SLAVE, SHOW DATABASES, CREATE TEMPORARY TABLES ON *.* TO 'global'@'%' "
    "IDENTIFIED BY 'global' WITH GRANT OPTION",
    "GRANT SELECT, INSERT, SHOW VIEW, TRIGGER ON shop.stores TO 'tables'@'%' IDENTIFIED BY 'tables'",
    "GRANT DELETE ON `q``uote`.`t``able` TO 'tables'@'%' WITH GRANT OPTION", "GRANT SELECT ON shop.dropped TO 'tables'@'%'",
    "GRANT SELECT (id, name), UPDATE (name), REFERENCES (`o``dd`) ON shop.stores TO 'columns'@'%' IDENTIFIED BY 'columns'",
    "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE shop.proc TO 'routines'@'%' IDENTIFIED BY 'routines'",
    "GRANT EXECUTE ON FUNCTION shop.func TO 'routines'@'%' WITH GRANT OPTION",
    "CREATE USER 'proxy'@'%' IDENTIFIED BY 'proxy'", "GRANT PROXY ON 'plain'@'%' TO 'proxy'@'%'",
    "GRANT PROXY ON 'limits'@'%' TO 'proxy'@'%' WITH GRANT OPTION",
    "CREATE USER 'broken'@'%' IDENTIFIED BY 'broken'",
    # stays
    "GRANT ALL ON *.* TO 'dba'@'%' IDENTIFIED BY 'dba' WITH GRANT OPTION",
    'DROP TABLE shop.dropped',
    f"UPDATE mysql.user SET Password='{OLD_HASH}' WHERE User='old'",
    "UPDATE mysql.user SET Password='*LK*' WHERE User='broken'", 'FLUSH PRIVILEGES',
]
# Whose password is known: user, password.
LOGINS = [('plain', 'plain'), ('definer', 'definer'), ('global', 'global'), ('tables', 'tables'), ('columns', 'columns'), ('routines', 'routines'),
          ('limits', 'limits'), *((user, 'odd') for user in ODD_USERS)]
STAYING = ('root', 'dba', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys', 'PUBLIC', 'agent')


def create(server):
        statements = ["SET sql_mode=''", 'SET NAMES utf8']
        for user in ODD_USERS:
                name = servers.quote(user)
                statements += [f"CREATE USER {name}@'%' IDENTIFIED BY 'odd'", f"GRANT SELECT ON shop.* TO {name}@'%'"]
        server.script([*statements, *FIXTURE])


def allow_proxy(server, user='agent'):
        server.script(['SET sql_log_bin=0', f"GRANT PROXY ON ''@'%' TO '{user}'@'%' WITH GRANT OPTION"])


def drop_all(server):
        """All accounts but the server's own and those of the tests."""
        for user, host in server.admin('SELECT User, Host FROM mysql.user'):
                if user not in ('root', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys', 'PUBLIC', 'agent', 'app'):
                        server.script(['SET sql_log_bin=0', f'DROP USER {servers.quote(user)}@{servers.quote(host)}'])


# --- reading ---

def snapshot(server):
        """Everything that the server knows of accounts, in the bytes of its tables."""
        tables = ['db', 'tables_priv', 'columns_priv', 'procs_priv', 'proxies_priv']
        tables += {'mysql56': ['user'], 'mysql97': ['user', 'global_grants', 'role_edges']}.get(server.flavor, ['roles_mapping'])
        found = {table: sorted(map(repr, server.admin(f'SELECT * FROM mysql.{table}'))) for table in tables}
        if server.flavor.startswith('mariadb'):         # a lock that was taken away leaves "account_locked": false
                found['global_priv'] = sorted((u, h, re.sub(r',"account_locked":false', '', p)) for u, h, p in
                                              server.admin('SELECT User, Host, Priv FROM mysql.global_priv'))
        return found


GRANT = re.compile(r"GRANT (?P<what>.*?) ON (?P<object>.*) TO (?P<who>('.*?'@'.*?')|(`.*?`@`.*?`))(?P<rest>.*)$", re.S)


ALL_ON_DATABASE = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'INDEX', 'ALTER', 'CREATE TEMPORARY TABLES', 'LOCK TABLES',
                   'EXECUTE', 'CREATE VIEW', 'SHOW VIEW', 'CREATE ROUTINE', 'ALTER ROUTINE', 'EVENT', 'TRIGGER']


def words(text):
        """The privileges of a list; one with columns comes once for each of them."""
        for item in re.findall(r'[^,(]+(?:\([^)]*\))?', text):
                name, _, columns = item.strip().partition(' (')
                if not name.strip():
                        continue
                if columns:
                        for column in columns.rstrip(')').split(','):
                                yield f'{name.strip()} {column.strip().strip("`").replace("``", "`")}'
                else:
                        yield name.strip()


def grants(server, user, host):
        """{(privilege, object)}, in one spelling for all servers."""
        found = set()
        try:
                with server.connect(sql_mode='') as c, c.cursor() as cursor:            # ANSI_QUOTES would change how names are quoted
                        cursor.execute(f'SHOW GRANTS FOR {servers.quote(user)}@{servers.quote(host)}')
                        lines = cursor.fetchall()
        except pymysql.err.OperationalError as e:
                if e.args[0] == 1141:                        # a row of mysql.user that the server passes over
                        return set()
                raise
        for (line,) in lines:
                if line.startswith('GRANT PROXY ON '):
                        target = line[len('GRANT PROXY ON '):].split(' TO ')[0].replace('`', "'")
                        found.add(('PROXY', target))
                        if line.endswith('WITH GRANT OPTION'):
                                found.add(('GRANT OPTION', 'PROXY ' + target))
                        continue
                match = GRANT.match(line)
                assert match, line
                where = match['object']
                for word in words(match['what']):
                        if word == 'ALL PRIVILEGES' and where != '*.*':
                                found |= {(each, where) for each in ALL_ON_DATABASE}
                        elif word != 'USAGE':
                                found.add((word, where))
                if 'WITH GRANT OPTION' in match['rest']:
                        found.add(('GRANT OPTION', where))
        return found


def spelled_for(server, found):
        """What MySQL 5.6 granted, as SERVER says it when it has the same."""
        result = set()
        for word, where in found:
                if word == 'REPLICATION CLIENT' and server.flavor.startswith('mariadb'):
                        result |= {('BINLOG MONITOR', where), ('SLAVE MONITOR', where)}
                else:
                        result.add((word, where))
        return result


def row(server, user, host):
        columns = 'ssl_type, ssl_cipher, x509_issuer, x509_subject, max_questions, max_updates, max_connections, max_user_connections, password_expired'
        found = server.admin(f'SELECT {columns} FROM mysql.user WHERE User = %s AND Host = %s', (user, host))
        return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in found[0]) if found else None


def secret(server, user, host):
        column = 'authentication_string' if server.flavor == 'mysql97' else "IF(Password <> '', Password, IFNULL(authentication_string, ''))"
        return server.scalar(f'SELECT {column} FROM mysql.user WHERE User = %s AND Host = %s', (user, host))


def is_locked(server, user, host):
        if server.flavor == 'mysql56':
                return False
        if server.flavor == 'mysql97':
                return server.scalar('SELECT account_locked FROM mysql.user WHERE User = %s AND Host = %s', (user, host)) == 'Y'
        return server.scalar("SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User = %s AND Host = %s", (user, host)) == '1'


def names(server):
        return {(u, h) for u, h in server.admin('SELECT User, Host FROM mysql.user')
                if u not in STAYING and not (u and not h)}


def can_log_in(server, user, password):
        try:
                server.connect(user, password).close()
                return True
        except Exception as e:                     # pylint: disable=broad-except
                if e.args[0] in (1045, 1524, 3118, 4151, 1862, 1820):
                        return False
                raise
