# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole instance: tests/fixtures/instance.sql goes to each destination, and a reader that shares no code with the agent compares
every object. What it finds different is in the report, and nothing else is."""

import json
import pathlib

import pytest

import equal
import servers
import steps

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / 'fixtures' / 'instance.sql'
SYSTEM = "('mysql', 'information_schema', 'performance_schema', 'sys', 'polarshift')"
SAME = {'ON': '1', 'OFF': '0'}


def name(*parts):
        return '.'.join('`' + part.replace('`', '``') + '`' for part in parts)


def plain(value):
        value = str(value).replace('utf8mb3', 'utf8')
        return SAME.get(value, value.lower())


def read(server):
        """{(kind, name): what it is}"""
        found = {}
        mariadb = server.flavor == 'mariadb'
        with server.connect() as c, c.cursor() as cursor:
                def rows(sql):
                        cursor.execute(sql)
                        return cursor.fetchall()
                for db, charset, collation in rows('SELECT schema_name, default_character_set_name, default_collation_name FROM '
                                                   f'information_schema.schemata WHERE schema_name NOT IN {SYSTEM}'):
                        found['database', name(db)] = plain(charset), plain(collation)
                for db, table, kind, engine, form, collation, comment in rows(
                                'SELECT table_schema, table_name, table_type, engine, row_format, table_collation, table_comment FROM '
                                f'information_schema.tables WHERE table_schema NOT IN {SYSTEM}'):
                        if kind == 'BASE TABLE':
                                definition = equal._definition(c, db, table, mariadb, widths=False)     # pylint: disable=protected-access
                                found['table', name(db, table)] = engine, form, plain(collation), comment, repr(definition)
                for db, view, security, definer in rows(f'SELECT table_schema, table_name, security_type, definer FROM information_schema.views '
                                                        f'WHERE table_schema NOT IN {SYSTEM}'):
                        found['view', name(db, view)] = security, definer
                for db, routine, kind, security, definer, returns, access in rows(
                                'SELECT routine_schema, routine_name, routine_type, security_type, definer, data_type, sql_data_access FROM '
                                f'information_schema.routines WHERE routine_schema NOT IN {SYSTEM}'):
                        found[kind.lower(), name(db, routine)] = security, definer, returns, access
                for db, trigger, timing, event, table, definer in rows(
                                'SELECT trigger_schema, trigger_name, action_timing, event_manipulation, event_object_table, definer FROM '
                                f'information_schema.triggers WHERE trigger_schema NOT IN {SYSTEM}'):
                        found['trigger', name(db, trigger)] = timing, event, table, definer
                for db, event, definer, body, status, value, unit, comment in rows(
                                'SELECT event_schema, event_name, definer, event_definition, status, interval_value, interval_field, event_comment FROM '
                                f'information_schema.events WHERE event_schema NOT IN {SYSTEM}'):
                        found['event', name(db, event)] = definer, body, status, value, unit, comment
        return found


def differences(before, after):
        """What of BEFORE is not the same in AFTER: {(kind, name): 'changed' or 'not-carried'}"""
        return {key: 'not-carried' if key not in after else 'changed' for key in before if after.get(key) != before[key]}


@pytest.fixture(params=[servers.MariaDB, servers.MariaDB118, servers.MySQL97], ids=['mariadb', 'mariadb118', 'mysql97'])
def destination(request, server):
        missing = getattr(request.param, 'missing', lambda: None)()
        if missing:
                pytest.skip(missing)
        return server(request.param)


def test_every_object(server, link, agent, destination):
        source = server(servers.MySQL56)
        source.script([line for line in FIXTURE.read_text(encoding='utf-8').splitlines() if line and not line.startswith('--')])
        if destination.flavor == 'mysql97':             # as the check asks for: programs of an account with SYSTEM_USER
                destination.script(['SET GLOBAL log_bin_trust_function_creators = 1', "GRANT SYSTEM_USER ON *.* TO 'agent'@'%'"])
        before = read(source)
        assert len({kind for kind, _ in before}) == 7 and len(before) > 20
        variables = dict(source.admin('SHOW GLOBAL VARIABLES'))
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        shop.operate('Complete')
        report = json.loads(shop.call('GetReport'))

        lines = {(o['kind'], o['name']): o for o in report['objects']}
        assert len(lines) == len(report['objects']), 'two lines for one object'
        after = read(destination)
        expected = differences(before, after)
        told = {key: o['outcome'] for key, o in lines.items() if key[0] not in ('parameter', 'account') and o['outcome'] != 'carried'}
        assert told == expected
        assert {key for key in lines if key[0] not in ('parameter', 'account')} == set(before)
        assert expected['table', '`plain`.`in_memory`'] == 'not-carried'
        assert expected[('view', '`plain`.`only_mysql`' if destination.flavor == 'mariadb' else '`plain`.`only_older`')] == 'not-carried'
        assert expected['table', '`plain`.`default_format`'] == 'changed'
        for key, outcome in told.items():
                line = lines[key]
                assert line.get('why'), line
                if outcome == 'changed':
                        assert 'Compact' in line['from'] and 'Dynamic' in line['to'], line

        # Parameters: those of the report, as both servers show them.
        now = dict(destination.admin('SHOW GLOBAL VARIABLES'))
        parameters = [line for key, line in lines.items() if key[0] == 'parameter']
        assert len(parameters) > 25
        for line in parameters:
                there = variables.get(line['name'], variables.get(line['name'].replace('transaction_', 'tx_')))
                here = now.get(line['name'])
                if line['outcome'] == 'not-carried':
                        assert line['why'] and (here is None or plain(here) != plain(there) or 'zone' in line['why']), line
                elif there is not None:
                        assert plain(here) == plain(there), line
        # Accounts: every one of the source's is in the list.
        users = {f"'{user}'@'{host}'" for user, host in source.admin('SELECT User, Host FROM mysql.user') if user not in ('root', 'agent')}
        assert users <= {o['name'] for o in report['objects'] if o['kind'] == 'account'}
        for form in ('html', 'text'):
                shown = agent.ctl('report', 'shop', f'--format={form}', json_mode=None).out
                assert '<script>' not in shown if form == 'html' else '`<script>' in shown
                assert 'in_memory' in shown and 'The migration is complete' in shown
