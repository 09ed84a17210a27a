# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts of every kind, there and back: with their passwords, limits and grants, closed until their side takes writes, changed on either side
while the link runs, and wherever the agent is killed."""

import json
import os

import pytest

import accounts
import schemas
import servers
import steps
from test_kill import kill_at_step


def report_of(shop):
        return {line['name']: line for line in json.loads(shop.call('GetReport'))['objects'] if line['kind'] == 'account'}


def allowed_of(shop):
        return [line['name'] for line in json.loads(shop.call('GetReport'))['objects'] if line['kind'] == 'allow-list']


def left_behind(source, destination):
        """Accounts of both sides that always stay with their server."""
        return {f"{servers.quote(user)}@{servers.quote(host)}" for server in (source, destination)
                for user, host in server.admin('SELECT User, Host FROM mysql.user') if user in accounts.STAYING}


def differences(source, destination, closed, ours, not_grantable=()):
        """In what accounts that came from SOURCE differ on DESTINATION. CLOSED: they are to be locked there, or to have another password."""
        found = []
        for user, host in sorted(accounts.names(source) | accounts.names(destination)):
                name, there = f'{user}@{host}', accounts.row(destination, user, host)
                if there is None or accounts.row(source, user, host) is None:
                        found.append(f'{name} is on one side only')
                        continue
                if accounts.row(source, user, host) != there:
                        found.append(f'{name}: {accounts.row(source, user, host)} became {there}')
                kept = accounts.secret(source, user, host) == accounts.secret(destination, user, host)
                is_ours = closed and (user, host) in ours
                if destination.flavor != 'mysql97' and user != 'broken' and kept == (is_ours and destination.flavor == 'mysql56'):
                        found.append(f'{name}: another password, or not closed')
                wanted = {(w, o) for w, o in accounts.spelled_for(destination, accounts.grants(source, user, host)) if o not in not_grantable}
                if accounts.grants(destination, user, host) != wanted:
                        found.append(f'{name}: {sorted(accounts.grants(destination, user, host) ^ wanted)}')
                pending = user == 'broken' or (destination.flavor == 'mysql97' and user not in ('', 'nopassword', 'app', 'columns'))
                if destination.flavor != 'mysql56' and accounts.is_locked(destination, user, host) != bool(
                                is_ours or (pending and (user, host) in ours)):
                        found.append(f'{name}: locked: {accounts.is_locked(destination, user, host)}')
        return found


def in_line(shop, source, destination, closed, ours):
        last = []

        def look():
                last[:] = differences(source, destination, closed, ours, ['`shop`.`dropped`'])
                return not last
        try:
                shop.wait(look, 60, 'accounts alike on both sides')
        except BaseException:
                print('\n'.join(last))
                raise


def change_on(server):
        """Statements of every kind about accounts, and a hand that writes into the tables."""
        server.script(["CREATE USER 'fresh'@'%' IDENTIFIED BY 'fresh'", "GRANT SELECT, INSERT ON shop.* TO 'fresh'@'%'",
                       "REVOKE DELETE ON shop.* FROM 'plain'@'%'", "GRANT CREATE VIEW ON shop.* TO 'plain'@'%' WITH GRANT OPTION",
                       "RENAME USER 'wild'@'10.0.%' TO 'renamed'@'10.1.%'", "DROP USER 'tls_any'@'%'",
                       "SET PASSWORD FOR 'global'@'%' = PASSWORD('changed')",
                       "REVOKE PROXY ON 'limits'@'%' FROM 'proxy'@'%'", "GRANT UPDATE (id) ON shop.stores TO 'columns'@'%'",
                       "REVOKE EXECUTE ON PROCEDURE shop.proc FROM 'routines'@'%'",
                       "GRANT USAGE ON *.* TO 'limits'@'%' WITH MAX_USER_CONNECTIONS 3"])
        server.script(["UPDATE mysql.user SET max_questions=99, ssl_type='ANY' WHERE User='limits'", 'FLUSH PRIVILEGES'])


def logins(server, opened, changed):
        known = dict(accounts.LOGINS) | ({'global': 'changed', 'fresh': 'fresh'} if changed else {})
        for user, password in known.items():
                if user == 'limits' and changed:  # it asks for TLS by now
                        continue
                if user == '"double"' or (user == 'b\\s'):
                        pass
                assert accounts.can_log_in(server, user, password) == opened, f'{user} on {server.flavor}'


@pytest.fixture
def fixture_pair(server):
        def make(kind):
                missing = kind.missing() if hasattr(kind, 'missing') else None
                if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                        pytest.skip(missing)
                source = server(servers.MySQL56)
                destination = server(kind, config=['log_bin_trust_function_creators=ON'])
                for each in (source, destination):
                        accounts.allow_proxy(each)
                schemas.create_shop(source, 100)
                accounts.create(source)
                return source, destination
        return make


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL56, servers.MySQL97, servers.MariaDB118],
                         ids=['mariadb', 'mysql56', 'mysql97', 'mariadb118'])
def test_there_and_back(agent, link, fixture_pair, kind):
        source, destination = fixture_pair(kind)
        ours = accounts.names(source) - accounts.names(destination)
        own = accounts.names(destination)
        if kind is servers.MySQL97:
                agent.set_credential('shop.accounts', "# what is known\n'columns'@'%' password columns\n'old'@'%' leave\n")
        shop = link(source, destination)
        steps.start(shop)
        if kind is servers.MySQL97:
                assert not accounts.row(destination, 'old', '%')
                source.admin("DROP USER 'old'@'%'")
                ours -= {('old', '%')}
        in_line(shop, source, destination, True, ours)
        logins(source, True, False)
        logins(destination, False, False)
        change_on(source)
        ours = (ours | {('fresh', '%'), ('renamed', '10.1.%')}) - {('wild', '10.0.%'), ('tls_any', '%')}
        in_line(shop, source, destination, True, ours)
        before = {name: accounts.grants(source, *name) for name in accounts.names(source)}

        steps.change_side(shop, 'Switch')
        in_line(shop, source, destination, False, ours)
        assert before == {name: accounts.grants(source, *name) for name in accounts.names(source)}
        if kind is not servers.MySQL97:
                logins(destination, True, True)
                assert destination.connect('definer', 'definer').cursor().execute('SELECT seven FROM shop.seven') == 1
        listed = report_of(shop)
        assert listed["'dba'@'%'"]['outcome'] == 'not-carried' and 'SUPER' in listed["'dba'@'%'"]['why']
        assert listed["'tables'@'%'"]['outcome'] == 'changed' and "dropped" in listed["'tables'@'%'"]['why']
        assert listed["'nopassword'@'127.0.0.1'"]['logins'] == {'destination': {'outcome': 'logged-in'}}
        if kind is not servers.MySQL97:
                assert listed["'plain'@'%'"]['outcome'] == 'carried' and 'why' not in listed["'plain'@'%'"]
        else:
                assert listed["'columns'@'%'"]['logins'] == {'destination': {'outcome': 'logged-in'}}
                assert listed["'plain'@'%'"]['logins'] == {'destination': {'outcome': 'not-tried', 'why': 'it needs a new password'}}
                assert accounts.can_log_in(destination, 'columns', 'columns') and not accounts.can_log_in(destination, 'tables', 'tables')
                assert listed["'plain'@'%'"]['outcome'] == 'changed' and "ALTER USER 'plain'@'%'" in listed["'plain'@'%'"]['sql']
                destination.admin("ALTER USER 'plain'@'%' IDENTIFIED BY 'given' ACCOUNT UNLOCK")
        assert {name for name, line in listed.items() if line['outcome'] == 'not-carried'} == left_behind(source, destination), listed
        # The other direction.
        destination.script(["CREATE USER 'late'@'%' IDENTIFIED BY 'late'" if kind is not servers.MySQL97 else "CREATE USER 'late'@'%'",
                            "GRANT SELECT, UPDATE ON shop.* TO 'late'@'%'", "REVOKE CREATE VIEW ON shop.* FROM 'plain'@'%'",
                            "DROP USER 'mask'@'192.168.1.0/255.255.255.0'"])
        shop.wait(lambda: accounts.row(source, 'late', '%') and not accounts.row(source, 'mask', '192.168.1.0/255.255.255.0')
                  and ('CREATE VIEW', '`shop`.*') not in accounts.grants(source, 'plain', '%'), 60, 'what changed on the new side')
        assert not accounts.can_log_in(source, 'late', 'late'), 'open before its side takes writes'
        assert accounts.names(destination) >= own

        steps.change_side(shop, 'Rollback')
        assert accounts.grants(source, 'late', '%') == {('SELECT', '`shop`.*'), ('UPDATE', '`shop`.*')}
        logins(source, True, True)
        if kind is not servers.MySQL97:
                assert accounts.can_log_in(source, 'late', 'late')
        for name in ours - {('mask', '192.168.1.0/255.255.255.0')}:
                assert accounts.is_locked(destination, *name) or kind is servers.MySQL56, name
        assert not accounts.can_log_in(destination, 'columns', 'columns')
        assert accounts.names(source) - {('late', '%')} == set(before) - {('mask', '192.168.1.0/255.255.255.0')}
        shop.operate('Cancel')
        assert accounts.can_log_in(destination, 'plain', 'given' if kind is servers.MySQL97 else 'plain')


def test_kill(agent, link, fixture_pair):
        """Wherever the agent is killed: accounts are open on the side that takes writes, and closed on the other one."""
        source, destination = fixture_pair(servers.MariaDB)
        ours = accounts.names(source) - accounts.names(destination)
        shop = link(source, destination)
        operation = shop.begin('Start', flags=1)
        shop.wait(lambda: accounts.names(destination) & ours or shop.get('Operation') == '', 60, 'accounts on the destination')
        agent.kill9()
        agent.start()
        shop.finish(operation, 120)
        shop.wait_phase('synchronizing', 120)
        in_line(shop, source, destination, True, ours)
        hit = []
        for step in ('flip', 'reverse-start', 'release', 'flip', 'release'):
                steps.make_ready(shop)
                method = 'Switch' if shop.get('Phase') == 'synchronizing' else 'Rollback'
                killed, operation = kill_at_step(agent, shop, method, step)
                hit += [step] if killed else []
                shop.finish(operation, 90, check=False)
                shop.wait_caught_up()
                switched = shop.get('Phase') == 'switched'
                in_line(shop, source, destination, not switched, ours)
                logins(destination, switched, False)
                logins(source, True, False)
        assert hit


def test_what_stays_is_left_alone(agent, link, pair):
        """Accounts that could not be carried, because the server refuses them or because another one has the name, are on neither side touched by
        the way back."""
        source, destination = pair
        schemas.create_shop(source, 100)
        source.script(["CREATE USER 'kept'@'%' IDENTIFIED BY 'kept'", "GRANT SELECT ON shop.* TO 'kept'@'%'",
                       "CREATE USER 'near'@'10.1.%'", "CREATE USER 'wide'@'10.%'", "CREATE USER 'far'@'192.0.2.1'",
                       "CREATE USER 'other'@'%' IDENTIFIED BY 'one'", "UPDATE mysql.user SET Password='*LK*' WHERE User='kept'", 'FLUSH PRIVILEGES'])
        destination.script(["CREATE USER 'other'@'%' IDENTIFIED BY 'another'", "CREATE USER 'local'@'%' IDENTIFIED BY 'local'"])
        agent.set_credential('shop.accounts', "'kept'@'%' hash no_such_plugin x")
        try:
                shop = link(source, destination, allow_list=['10.1.0.0/16'])
                steps.start(shop)
                before = {server: {name: (accounts.grants(server, *name), accounts.secret(server, *name)) for name in accounts.names(server)}
                          for server in pair}
                assert ('kept', '%') not in before[destination]
                steps.change_side(shop, 'Switch')
                destination.script(["CREATE USER 'late'@'%' IDENTIFIED BY 'late'"])
                shop.wait(lambda: accounts.row(source, 'late', '%'), 60, 'the new account on the source')
                before[destination]['late', '%'] = (accounts.grants(destination, 'late', '%'), accounts.secret(destination, 'late', '%'))
                for server in pair:
                        now = {name: (accounts.grants(server, *name), accounts.secret(server, *name)) for name in accounts.names(server)}
                        now = {name: value for name, value in now.items() if server is destination or name != ('late', '%')}
                        assert now == before[server]
                listed = report_of(shop)
                assert {listed[name]['outcome'] for name in ("'kept'@'%'", "'other'@'%'", "'local'@'%'")} == {'not-carried'}, listed
                assert 'why' not in listed["'near'@'10.1.%'"]
                assert 'covers all' in listed["'wide'@'10.%'"]['why'] and 'none of the addresses' in listed["'far'@'192.0.2.1'"]['why']
                assert allowed_of(shop) == ['10.1.0.0/16']
                steps.change_side(shop, 'Rollback')
                assert accounts.row(source, 'kept', '%') and accounts.can_log_in(source, 'late', 'late')
                assert accounts.can_log_in(destination, 'other', 'another')
                shop.operate('Cancel')
        finally:
                for server in pair:
                        accounts.drop_all(server)
