# SPDX-License-Identifier: LGPL-2.1-or-later
"""The servers' variables: carried at Start, set back when it fails, told by the report, and watched on the source."""

import json

import pytest

import schemas
import servers
import steps
from agent import OperationFailed

# As applications meet them. (name on the source, value there)
SET = {'sql_mode': 'ANSI_QUOTES,NO_AUTO_CREATE_USER', 'group_concat_max_len': '4321', 'time_zone': '+03:00', 'tx_isolation': 'READ-COMMITTED',
       'lc_time_names': 'de_DE', 'auto_increment_increment': '3', 'wait_timeout': '12345', 'div_precision_increment': '6',
       'character_set_server': 'utf8', 'collation_server': 'utf8_unicode_ci', 'innodb_strict_mode': 'OFF', 'sql_select_limit': '1000000'}


def set_source(source):
        for name, value in SET.items():
                source.admin(f'SET GLOBAL {name} = ' + (value if value.isdigit() else servers.quote(value)))


def report(migration):
        return {p['name']: p for p in json.loads(migration.call('GetReport'))['objects'] if p['kind'] == 'parameter'}


def shown(server, name):
        return dict(server.admin('SHOW GLOBAL VARIABLES'))[name].replace('utf8mb3', 'utf8')


@pytest.fixture(params=[servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'])
def destination(request, server):
        missing = getattr(request.param, 'missing', lambda: None)()
        if missing:
                pytest.skip(missing)
        return server(request.param)


def test_carried_and_watched(server, link, agent, destination):
        source = server(servers.MySQL56)
        schemas.create_shop(source, 200)
        set_source(source)
        before = dict(destination.admin('SHOW GLOBAL VARIABLES'))
        # A start that fails sets back what it set.
        source.admin('CREATE TABLE shop.memory (a INT PRIMARY KEY) ENGINE=MEMORY')
        shop = link(source, destination, unfit='refuse')
        with pytest.raises(OperationFailed):
                shop.operate('Start', flags=1)
        assert dict(destination.admin('SHOW GLOBAL VARIABLES'))['group_concat_max_len'] == before['group_concat_max_len']
        source.admin('DROP TABLE shop.memory')
        shop.operate('Cancel')
        shop.call('Remove', '(a{sv}t)', {}, 0)

        shop = link(source, destination)
        steps.start(shop)
        rows = report(shop)
        names = {'tx_isolation': 'transaction_isolation'} if 'transaction_isolation' in rows else {}
        for name, value in SET.items():
                row = rows[names.get(name, name)]
                if name == 'sql_select_limit':
                        assert row['outcome'] == 'not-carried' and row['why'], row
                        continue
                if destination.flavor != 'mariadb' and name == 'sql_mode':
                        value = 'ANSI_QUOTES'
                elif name == 'sql_mode':
                        value = 'ANSI_QUOTES,NO_AUTO_CREATE_USER'
                assert sorted(shown(destination, names.get(name, name)).split(',')) == sorted(value.split(',')), name
                if before[names.get(name, name)].replace('utf8mb3', 'utf8') != value:
                        assert row['outcome'] == 'changed' and row['from'] == before[names.get(name, name)], row
        if destination.flavor == 'mysql97':
                destination.restart()
                assert shown(destination, 'group_concat_max_len') == '4321'
                shop.wait_caught_up()
        else:
                assert 'group_concat_max_len=4321' in rows['group_concat_max_len']['sql']
                # What a restart forgets is set again; what somebody sets while it runs is left.
                for _ in range(2):              # a server that ran for 2 s or less is not told from the one before it
                        shop.wait(lambda: int(dict(destination.admin("SHOW GLOBAL STATUS LIKE 'Uptime'"))['Uptime']) > 4, 30, 'the uptime')
                        destination.restart()
                        shop.wait(lambda: shown(destination, 'group_concat_max_len') == '4321' and shown(destination, 'lc_time_names') == 'de_DE', 60,
                                  'parameters after a restart')
                        shop.wait_caught_up()
                        destination.admin('SET GLOBAL group_concat_max_len = 99')
                        agent.restart()
                        shop.wait_property('ReplicationState', 'running', 60)
                        shop.wait_caught_up()
                        assert shown(destination, 'group_concat_max_len') == '99'
                destination.admin('SET GLOBAL group_concat_max_len = 4321')
                assert [line for line in json.loads(shop.call('GetHistory', '(t)', 0)) if 'set there again' in line['message']]

        # Drift is told at once, by name; the value is in the report.
        source.admin('SET GLOBAL group_concat_max_len = 1111')
        shop.wait(lambda: report(shop)['group_concat_max_len'].get('now') == '1111', 30, 'the drift')
        assert any(line['event'] == 'parameter-changed' and 'group_concat_max_len' in line['message']
                   for line in json.loads(shop.call('GetHistory', '(t)', 0)))
        assert shop.get('ReplicationState') == 'running'
        source.admin('SET GLOBAL group_concat_max_len = 4321')
        shop.wait(lambda: report(shop)['group_concat_max_len'].get('now') is None, 30, 'the end of the drift')

        # A log that could not be followed stops synchronisation, and it goes on when that is mended.
        for bad, good in (("binlog_format = 'STATEMENT'", "binlog_format = 'ROW'"), ("binlog_row_image = 'MINIMAL'", "binlog_row_image = 'FULL'")):
                source.admin(f'SET GLOBAL {bad}')
                shop.wait_property('ReplicationState', 'failed', 30)
                name, message = shop.get('LastError')
                assert name.endswith('CheckFailed') and bad.split()[0] in message and 'source' in message, (name, message)
                agent.restart()
                shop.wait_property('ReplicationState', 'failed', 30)
                source.admin(f'SET GLOBAL {good}')
                shop.wait_property('ReplicationState', 'running', 30)
                assert shop.get('LastError')[0] == ''
        shop.wait_caught_up()
        shop.operate('Cancel')
        undo = [task['sql'] for task in json.loads(shop.call('GetReport'))['to_do'] if 'group_concat_max_len' in (task['sql'] or '')]
        assert undo, 'Cancel does not tell the old values'
        destination.script([sql for text in undo for sql in text.split('\n') if sql])
        assert shown(destination, 'group_concat_max_len') == before['group_concat_max_len']
