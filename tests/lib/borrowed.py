# SPDX-License-Identifier: LGPL-2.1-or-later
"""SQL that others wrote: the statements of MariaDB's own tests (Debian's mariadb-test-data), run on the source while a migration follows.

A .test file is a script for mysqltest. Its plain SQL is taken: commands, variables and what concerns the server as a whole are left
out, engines become InnoDB, the database `test` one of the file's own, and of what it drops at its end most is kept under another
name, so that there is something to compare. What fails on MySQL 5.6 fails."""

import os
import pathlib
import re

ROOT = pathlib.Path(os.environ.get('POLARSHIFT_MYSQL_TEST', '/usr/share/mysql/mysql-test'))
# The first words of statements that are taken.
TAKEN = ('create|alter|drop|rename|truncate|insert|replace|update|delete|begin|start transaction|commit|rollback|savepoint|release savepoint|xa|set|'
         'prepare|execute|deallocate|do|call|lock tables?|unlock tables|use')
LEFT_OUT = re.compile(
        r'\$|^set\s+(@@)?(global|persist)|@@global|sql_log_bin|binlog_format|gtid|server_id|storage_engine|pseudo_|read_only|log_bin_trust|'
        r'^(create|drop|alter|rename)\s+(user|role|server|logfile|tablespace)|\bmysql\.|information_schema|performance_schema|outfile|'
        r'^set\s+password|slave|master|debug|get_lock|sleep\s*\(|plugin|soname|^use\s+mysql|federated|charsets?-dir', re.I)


def missing():
        return None if (ROOT / 'main').is_dir() else f'no {ROOT}: run tests/setup --for=servers first'


def statements(path):
        """The SQL statements of a file, in its order."""
        delimiter, pending = ';', ''
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
                stripped = line.strip()
                if not pending and (stripped.startswith(('#', '--')) or stripped in ('', '{', '}')):
                        if match := re.match(r'--\s*delimiter\s+(\S+)', stripped, re.I):
                                delimiter = match.group(1)
                        continue
                if not pending and (match := re.match(r'delimiter\s+(\S+?)' + re.escape(delimiter) + '?$', stripped, re.I)):
                        delimiter = match.group(1)
                        continue
                pending += line + '\n'
                while delimiter in pending:
                        statement, pending = pending.split(delimiter, 1)
                        yield statement.strip()
                        pending = pending.lstrip('\n ')


def script(path, db):
        """What a client is to be sent, each statement with its delimiter."""
        kept = 0
        yield f'CREATE DATABASE {db} DEFAULT CHARACTER SET latin1;\nUSE {db};\nSET SESSION innodb_lock_wait_timeout=1, lock_wait_timeout=5;\n'
        for sql in statements(path):
                sql = re.sub(r'^(/\*.*?\*/\s*)+', '', sql, flags=re.S)
                if not re.match(rf'({TAKEN})\b', sql, re.I) or LEFT_OUT.search(sql):
                        continue
                sql = re.sub(r'\b(engine|type)(\s*=\s*|\s+)(myisam|memory|heap|aria|archive|csv|merge|\'\w+\'|maria|ndb)\b', 'ENGINE=InnoDB', sql, flags=re.I)
                sql = re.sub(r'`?\btest\b`?\s*\.', f'{db}.', sql)
                sql = re.sub(r'^use\s+`?test`?$', f'use {db}', sql, flags=re.I)
                if match := re.match(r'drop\s+table\s+(?:if\s+exists\s+)?([^;()]+)$', sql, re.I):
                        for name in match.group(1).split(','):
                                kept += 1
                                name = name.strip()
                                yield f'DROP TABLE {name};\n' if kept % 5 == 0 else f'RENAME TABLE {name} TO {db}.kept_{kept};\n'
                        continue
                yield f'DELIMITER $$\n{sql}\n$$\nDELIMITER ;\n' if ';' in sql else f'{sql};\n'
        yield 'ROLLBACK;\nUNLOCK TABLES;\n'
