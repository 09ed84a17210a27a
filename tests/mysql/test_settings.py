# SPDX-License-Identifier: LGPL-2.1-or-later
"""A destination on which nearly everything is set otherwise: what is carried comes out as it is on the source, at the start and by statements."""

import json

import pytest

import equal
import schemas
import servers
import steps

OTHERWISE = ['default_storage_engine=MyISAM', 'innodb_default_row_format=redundant', 'innodb_strict_mode=ON', 'auto_increment_increment=7',
             'auto_increment_offset=3', 'transaction-isolation=SERIALIZABLE', 'completion_type=2', 'character_set_server=utf8mb4', 'default_week_format=3',
             'innodb_lock_wait_timeout=2', 'lock_wait_timeout=5', 'event_scheduler=ON', 'init_connect=SET autocommit=0', 'group_concat_max_len=4', 'low_priority_updates=1']
MARIADB = [*OTHERWISE, 'old_mode=', 'enforce_storage_engine=InnoDB', 'sql_mode=ORACLE,TRADITIONAL,NO_BACKSLASH_ESCAPES', 'collation_server=utf8mb4_nopad_bin',
           'max_statement_time=1', 'alter_algorithm=INSTANT', 'explicit_defaults_for_timestamp=0', 'idle_transaction_timeout=2']
MYSQL97 = [*OTHERWISE, 'sql_require_primary_key=ON', 'sql_generate_invisible_primary_key=ON', 'sql_mode=ANSI,TRADITIONAL', 'collation_server=utf8mb4_0900_bin',
           'explicit_defaults_for_timestamp=0', 'max_execution_time=1000', 'partial_revokes=ON', 'innodb_native_foreign_keys=ON']

TABLES = ['CREATE TABLE {0}.nokey (a INT, b VARCHAR(10))', 'CREATE TABLE {0}.u8 (a VARCHAR(20) PRIMARY KEY, b CHAR(3)) CHARSET=utf8',
          'CREATE TABLE {0}.u4 (a VARCHAR(20) PRIMARY KEY) CHARSET=utf8mb4', 'CREATE TABLE {0}.none (a VARCHAR(20) PRIMARY KEY)',
          'CREATE TABLE {0}.parent (id INT AUTO_INCREMENT PRIMARY KEY)', 'CREATE TABLE {0}.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))',
          "CREATE TABLE {0}.stamps (id INT PRIMARY KEY, t TIMESTAMP, u TIMESTAMP NULL, d DATE NOT NULL DEFAULT '0000-00-00', s VARCHAR(9) DEFAULT 'a\\\\b')"]
CUT = 'CREATE TABLE {0}.cut (id INT PRIMARY KEY, a VARCHAR(700), KEY (a))'      # 5.6 cuts the key
ROWS = ["INSERT INTO {0}.nokey VALUES (1, 'a'), (1, 'a'), (NULL, '')", "INSERT INTO {0}.u8 VALUES ('é', ''), ('z', 'b')", "INSERT INTO {0}.u4 VALUES ('é'), ('☃\\\\')",
        "INSERT INTO {0}.none VALUES ('x ')", 'INSERT INTO {0}.parent VALUES (NULL), (NULL)', 'INSERT INTO {0}.child VALUES (1, 2)',
        "INSERT INTO {0}.stamps VALUES (1, '2026-01-01', NULL, '0000-00-00', 'it''s \"'), (0, '2026-01-01', NULL, '2026-00-00', '\\\\')"]


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'])
def test_set_otherwise(server, link, kind):
        missing = getattr(kind, 'missing', lambda: None)()
        if missing:
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind, config=MARIADB if kind is servers.MariaDB else MYSQL97)
        schemas.create_shop(source, 100)

        def write(database):
                source.script(["SET NAMES utf8mb4, sql_mode=''", f'CREATE DATABASE {database} DEFAULT CHARACTER SET utf8', f'USE {database}',
                               *(sql.format(database) for sql in TABLES + ROWS)])
        write('first')
        source.script(["SET sql_mode=''", CUT.format('first')])
        shop = link(source, destination, fence='global')
        steps.start(shop)
        told = {line['name']: line for line in json.loads(shop.call('GetReport'))['objects'] if line['kind'] == 'parameter'}
        for name, value in (('max_statement_time', '0.000000'), ('idle_transaction_timeout', '0')) if kind is servers.MariaDB else (
                        ('max_execution_time', '0'), ('sql_require_primary_key', 'OFF'), ('sql_generate_invisible_primary_key', 'OFF')):
                assert (told[name]['outcome'], told[name]['sql']) == ('not-carried', f'{name}={value}')
        write('second')
        source.script([f'ALTER TABLE first.{table} ADD more VARCHAR(9)' for table in ('nokey', 'u8', 'u4', 'none', 'stamps')] +
                      ['ALTER TABLE first.none MODIFY a CHAR(30) NOT NULL, ADD KEY (more)'])
        equal.wait_equal(source, destination, ['first', 'second', 'shop'])
        steps.change_side(shop, 'Switch')
        destination.script(["SET sql_mode='ALLOW_INVALID_DATES', autocommit=1", "INSERT INTO second.stamps VALUES (7, '2026-01-01', NULL, '2026-00-00', 'x')",
                            'INSERT INTO second.parent VALUES (NULL)', "INSERT INTO first.nokey VALUES (2, 'b', 'c')", 'CREATE TABLE second.late (a INT PRIMARY KEY, b TEXT)',
                            'INSERT INTO second.late VALUES (1, 2)', 'ALTER TABLE second.late ADD c INT NOT NULL'])
        equal.wait_equal(source, destination, ['first', 'second', 'shop'])
        steps.change_side(shop, 'Rollback')
        shop.operate('Cancel')
