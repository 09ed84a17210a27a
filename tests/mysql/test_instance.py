# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole instance: tests/fixtures/instance.sql and the accounts of tests/lib/accounts.py go to each destination, and a reader that shares no
code with the agent compares every object, account, grant and parameter. What it finds different is in the report, and nothing else is."""

import json
import pathlib
import re

import pytest

import accounts
import equal
import programs
import servers
import steps

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / 'fixtures' / 'instance.sql'
SYSTEM = "('mysql', 'information_schema', 'performance_schema', 'sys', 'polarshift')"
SAME = {'ON': '1', 'OFF': '0'}
SERVERS_OWN = set(accounts.STAYING) - {'dba'}

# Variables in which two servers may differ, and the report says nothing of it, for no application meets them in a result, an error or a wait:
# what a server is and where; how it works inside; its logs and its own replication; its instruments; what each client says for itself when it
# connects; what the way to the destination asked for (the checks programs and event-scheduler); what another check tells (tls, full-text, and
# in a table's line innodb_file_format).
ITS_OWN = re.compile(r"""^(
        .*dir | ignore_db_dirs | .*_file | .*_basename | .*_index | pid_file | port | report_port | socket | server_id | server_uuid | version.* | .*_version | gtid_.* | log_error
        | have_.* | relay_log | init_file
        | innodb_(adaptive|buffer_pool|change_buffer|checksum|flush|io_cap|log_buffer|lru|max_dirty|open_files|purge|spin|undo).*
        | (key_buffer|query_alloc_block|query_prealloc|sort_buffer|myisam_sort_buffer|thread_cache)_size | thread_stack | back_log | table_(definition|open)_cache.*
        | max_(length_for_sort_data|seeks_for_key|write_lock_count|relay_log_size) | eq_range_index_dive_limit | optimizer_.* | old_alter_table
        | myisam_recover_options | disconnect_on_expired_password | default_tmp_storage_engine
        | (general|slow_query)_log.* | log_(slow|warnings).* | expire_logs_days | binlog_(error_action|gtid_simple_recovery) | slave_.*
        | performance_schema_.*
        | (character_set|collation)_(client|connection|database|results)
        | log_bin_trust_function_creators | event_scheduler
        | ssl_(ca|cert|key) | innodb_file_format(_max)?
        )$""", re.X)


def name(*parts):
        return '.'.join('`' + part.replace('`', '``') + '`' for part in parts)


def account_name(user, host):
        return '@'.join("'" + part.replace('\\', '\\\\').replace("'", "\\'") + "'" for part in (user, host))


def plain(value):
        value = str(value).replace('utf8mb3', 'utf8')
        return SAME.get(value, value.lower())


def read(server, flavors):
        """{(kind, name): what it is}, as far as servers of FLAVORS say it alike"""
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
                for (db,) in rows(f'SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN {SYSTEM}'):
                        found |= {(kind, name(db, what)): value for (kind, what), value in programs.read(server, flavors, db).items()}
                for db, event, status in rows(f'SELECT event_schema, event_name, status FROM information_schema.events WHERE event_schema NOT IN {SYSTEM}'):
                        found['event', name(db, event)] += status,
        for user, host in server.admin('SELECT User, Host FROM mysql.user'):
                if user in SERVERS_OWN:
                        continue
                plugin = server.scalar('SELECT plugin FROM mysql.user WHERE User = %s AND Host = %s', (user, host)) or 'mysql_native_password'
                found['account', account_name(user, host)] = (
                        plugin, accounts.secret(server, user, host), accounts.row(server, user, host), accounts.is_locked(server, user, host),
                        frozenset(accounts.grants(server, user, host)))
        return found


def differences(before, after):
        """What of BEFORE is not the same in AFTER: {(kind, name): 'changed' or 'not-carried'}"""
        return {key: 'not-carried' if key not in after else 'changed' for key in before if after.get(key) != before[key]}


@pytest.fixture(params=[servers.MariaDB, servers.MariaDB118, servers.MySQL97, servers.MySQL56],
                ids=['mariadb', 'mariadb118', 'mysql97', 'mysql56'])
def destination(request, server):
        missing = getattr(request.param, 'missing', lambda: None)()
        if missing:
                pytest.skip(missing)
        return server(request.param)


def look_at_objects(report, before, after, destination):
        """One line for each of the source's objects and accounts; it says 'changed' or 'not-carried' where the reader finds that, and there only."""
        told = {(o['kind'], o['name']): o for o in report if o['kind'] != 'parameter'}
        staying = {account_name(user, host) for user, host in destination.admin('SELECT User, Host FROM mysql.user') if user in SERVERS_OWN}
        left = {key: told.pop(key) for key in list(told) if key[0] == 'account' and key not in before}
        assert {key[1] for key in left} == staying | {"'root'@'localhost'", "'agent'@'%'"}
        assert all(line['outcome'] == 'not-carried' and line['why'] for line in left.values()), left
        assert set(told) == set(before)
        expected = differences(before, after)
        assert {key: line['outcome'] for key, line in told.items() if line['outcome'] not in ('carried', 'same')} == expected
        assert expected['table', '`plain`.`in_memory`'] == 'not-carried'
        if destination.flavor.startswith('mysql56'):
                assert 'Barracuda' in told['table', '`plain`.`compressed`']['sql']
        else:
                assert expected['view', '`plain`.`only_mysql`' if destination.flavor.startswith('mariadb') else '`plain`.`only_older`'] == 'not-carried'
                assert expected['table', '`plain`.`default_format`'] == 'changed'
        assert expected['account', "'tables'@'%'"] == 'changed' and expected['account', "'dba'@'%'"] == 'not-carried'
        for (kind, _), outcome in expected.items():
                line = told[kind, _]
                assert line.get('why'), line
                if outcome == 'changed' and kind == 'table':
                        formats = [before[kind, _][1], after[kind, _][1]]
                        assert formats[0] in line['from'] and formats[1] in line['to'] and formats[0] != formats[1], line


def look_at_parameters(report, source, destination, now):
        """SOURCE and DESTINATION: before the start."""
        told = {o['name']: o for o in report if o['kind'] == 'parameter'}
        assert len(told) > 30
        for name_, line in told.items():
                there = source.get(name_, source.get(name_.replace('transaction_', 'tx_')))
                here, was = now.get(name_), destination.get(name_)
                match line['outcome']:
                        case 'same':
                                assert plain(here) == plain(was), line
                                assert there is None or plain(here) == plain(there) or (there, here) == ('SYSTEM', 'SYSTEM'), line
                        case 'changed':
                                assert line['why'] and plain(line['from']) == plain(was) != plain(here) == plain(line['to']), (line, was, here)
                                assert there is None or plain(here) == plain(there), line
                        case 'not-carried':
                                assert line['why'] and plain(here) == plain(was) and (here is None or plain(here) != plain(there)), line
        different = {n for n in source.keys() & now.keys() if plain(source[n]) != plain(now[n])}
        missed = {n for n in different if not ITS_OWN.match(n) and told.get(n, {}).get('outcome') != 'not-carried'}
        assert not missed, {n: (source[n], now[n]) for n in missed}


def test_every_object(server, link, agent, destination):
        source = server(servers.MySQL56)
        accounts.create(source)
        source.script([line for line in FIXTURE.read_text(encoding='utf-8').splitlines() if line and not line.startswith('--')])
        for side in (source, destination):
                accounts.allow_proxy(side)
        if destination.flavor == 'mysql97':             # as the check asks for: programs of an account with SYSTEM_USER
                destination.script(['SET GLOBAL log_bin_trust_function_creators = 1', "GRANT SYSTEM_USER ON *.* TO 'agent'@'%'"])
                agent.set_credential('shop.accounts', "'columns'@'%' password columns\n")
        flavors = {source.flavor, destination.flavor}
        before = read(source, flavors)
        assert len({kind for kind, _ in before}) == 8 and len(before) > 50
        variables = [dict(side.admin('SHOW GLOBAL VARIABLES')) for side in (source, destination)]
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        shop.operate('Complete')
        report = json.loads(shop.call('GetReport'))['objects']

        assert len({(o['kind'], o['name']) for o in report}) == len(report), 'two lines for one object'
        look_at_objects(report, before, read(destination, flavors), destination)
        look_at_parameters(report, *variables, dict(destination.admin('SHOW GLOBAL VARIABLES')))
        assert accounts.can_log_in(destination, 'columns', 'columns')
        for form in ('html', 'text'):
                shown = agent.ctl('report', 'shop', f'--format={form}', json_mode=None).out
                assert '<script>' not in shown if form == 'html' else '`<script>' in shown
                assert 'in_memory' in shown and 'The migration is complete' in shown
