# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether accounts whose password is known can log in where they were carried: tried once, when their side was opened, with everything said that
cannot be told from the agent's host."""

import json

import accounts
import schemas
import steps

KNOWN = """'right'@'%' password right
'aaa'@'%' password mistaken
'twice'@'%' password mywide
'twice'@'127.%' password mynarrow
'far'@'192.0.2.%' password far
'old'@'%' password old
'certificate'@'%' password certificate
'encrypted'@'%' password encrypted
'expired'@'%' password expired
'hash'@'%' hash mysql_native_password *0123456789012345678901234567890123456789
'dba'@'%' password dba
"""
SLOW = [f"'slow{n:02}'@'%'" for n in range(12)]         # a second each: time to kill the agent
NATIVE = "GRANT SELECT ON shop.* TO {} IDENTIFIED BY '{}' {}"
FAILED = ('failed', 'error 1045 (ER_ACCESS_DENIED_ERROR)')


def told(shop, side='destination'):
        """{name: (outcome, why)} of accounts of which the report says it."""
        found = {}
        for line in json.loads(shop.call('GetReport'))['objects']:
                login = line.get('logins', {}).get(side)
                if login:
                        found[line['name']] = (login['outcome'], login.get('why'))
        return found


def refusals(server):
        return int(server.scalar("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Access_denied_errors'"))


def events(shop, kind):
        return [line for line in json.loads(shop.call('GetHistory', '(t)', 0)) if line.get('event') == kind]


def test_each_is_tried_once(agent, link, pair):
        source, destination = pair
        schemas.create_shop(source, 100)
        source.script(["CREATE USER ''@'%'", "CREATE USER 'empty'@'127.0.0.1'", "CREATE USER 'unknown'@'%' IDENTIFIED BY 'unknown'",
                       "CREATE USER 'old'@'%' IDENTIFIED WITH mysql_old_password", "CREATE USER 'expired'@'%' IDENTIFIED BY 'expired'",
                       "ALTER USER 'expired'@'%' PASSWORD EXPIRE", "GRANT ALL ON *.* TO 'dba'@'%' IDENTIFIED BY 'dba'",
                       *(NATIVE.format(f"'{name}'@'{host}'", password, more) for name, host, password, more in (
                               ('right', '%', 'right', ''), ('aaa', '%', 'aaa', ''), ('twice', '%', 'mywide', ''), ('twice', '127.%', 'mynarrow', ''),
                               ('far', '192.0.2.%', 'far', ''), ('certificate', '%', 'certificate', 'REQUIRE X509'), ('hash', '%', 'hash', ''),
                               ('encrypted', '%', 'encrypted', 'REQUIRE SSL'), *((name[1:-5], '%', 'slow', '') for name in SLOW))),
                       "UPDATE mysql.user SET Password='*LK*' WHERE User='unknown'", f"UPDATE mysql.user SET Password='{accounts.OLD_HASH}' WHERE User='old'",
                       'FLUSH PRIVILEGES'])
        destination.admin("SET GLOBAL init_connect = \"DO IF(CURRENT_USER() LIKE 'slow%', SLEEP(1), 0)\"")
        agent.set_credential('shop.accounts', KNOWN + ''.join(f'{name} password slow\n' for name in SLOW))
        try:
                shop = link(source, destination)
                steps.start(shop)
                steps.make_ready(shop)
                assert not told(shop)
                before = refusals(destination)
                operation = steps.begin(shop, 'Switch')
                shop.wait(lambda: refusals(destination) > before, 60, 'logins being tried')
                assert shop.get('OperationStep') == 'logins'
                assert not steps.write_refused(destination), 'applications wait for it'
                agent.kill9()
                agent.start()
                shop.finish(operation, 90)
                first = told(shop)
                assert refusals(destination) == before + 1
                assert first["'aaa'@'%'"] == ('not-tried', 'the agent was stopped at that moment')
                assert first[SLOW[-1]] == ('not-tried', 'the agent was stopped at that moment')
                assert json.loads(shop.call('GetReport'))['phase'] == 'switched'

                # Back, where each has the password that it always had, and there again.
                steps.change_side(shop, 'Rollback')
                assert told(shop, 'source')["'empty'@'127.0.0.1'"] == ('logged-in', None)
                assert told(shop, 'source')["'right'@'%'"] == ('not-tried', 'its password is not known')
                destination.admin('SET GLOBAL init_connect = ""')
                before = refusals(destination)
                steps.change_side(shop, 'Switch')
                assert refusals(destination) == before + 1
                now = told(shop)
                for name in ("'right'@'%'", "'twice'@'127.%'", "'empty'@'127.0.0.1'", "''@'%'", *SLOW):
                        assert now.pop(name) == ('logged-in', None), name
                assert now.pop("'aaa'@'%'") == FAILED
                left = {"'twice'@'%'": "from the agent's host the server takes it for 'twice'@'127.%'",
                        "'far'@'192.0.2.%'": "its host pattern does not match the agent's host, which is 127.0.0.1 there",
                        "'old'@'%'": 'it logs in by mysql_old_password', "'certificate'@'%'": 'it asks for a certificate, or a cipher, of its own',
                        "'encrypted'@'%'": "it asks for TLS, which the migration's connections do not use",
                        "'expired'@'%'": 'its password has expired', "'unknown'@'%'": 'it needs a new password',
                        "'hash'@'%'": 'its password is not known', "'app'@'%'": 'its password is not known'}
                assert {name: why for name, (outcome, why) in now.items() if outcome == 'not-tried'} == left
                assert set(now) == set(left)
                assert [e['priority'] for e in events(shop, 'login-failed')][-1] == 4
                text, page = (agent.ctl('report', 'shop', f'--format={form}', json_mode=None).out for form in ('text', 'html'))
                assert "Could not log in on the destination: 'aaa'@'%' – error 1045" in text
                assert 'login on the destination: logged in' in text and 'login on the destination: not tried, its password has expired' in text
                assert 'login on the destination: could not log in, error 1045 (ER_ACCESS_DENIED_ERROR)' in page
                for secret in ('mistaken', 'mynarrow', 'mywide'):
                        assert secret not in text + page + shop.call('GetReport') + shop.call('GetHistory', '(t)', 0) + agent.log()
                shop.operate('Complete')
        finally:
                destination.admin('SET GLOBAL init_connect = ""')
                for each in pair:
                        accounts.drop_all(each)
