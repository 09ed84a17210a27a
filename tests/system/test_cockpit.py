# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is behind calls that come by Cockpit: a real login at its web server, commands of its bridge, as the person and with
administrative access."""

import pytest

from cockpit import Cockpit
from conftest import PASSWORD
from servers import free_port
from test_service import AUDIT, URIS, ctl, expect, records, until

BROWSER = '127.0.0.7'


@pytest.fixture(scope='module')
def port(machine):
        port = free_port()
        machine.run('systemd-run', '--quiet', '--unit=cockpit-test', '/usr/lib/cockpit/cockpit-ws', '--no-tls', f'--port={port}', '--address=127.0.0.1')
        until(lambda: Cockpit.answers(port), 'the web server')
        expect(ctl(machine, 'create', 'desk', *URIS), 0)
        yield port
        expect(ctl(machine, 'remove', 'desk'), 0)
        machine.run('systemctl', 'stop', 'cockpit-test')


def last(machine, operation):
        return records(machine, f'MESSAGE_ID={AUDIT}', 'MIGRATION=desk', f'OPERATION={operation}')[-1]


def test_as_the_person(machine, port):
        """Debian 12's bridge answers polkit's question for nothing but root for itself, so polkit refuses."""
        with Cockpit(port, 'admin', PASSWORD, address=BROWSER) as cockpit:
                assert cockpit.spawn('polarshiftctl', 'status', 'desk')[0] == 0
                code, output = cockpit.spawn('polarshiftctl', 'limits', 'desk', 'max-delay=31')
                assert code == 4, output
        uid = machine.run('id', '-u', 'admin').out.strip()
        wanted = {'RESULT': 'refused', 'ERROR_NAME': 'AccessDenied', 'CALLER_UID': uid, 'CALLER_LOGIN_USER': 'admin',
                  'CALLER_REMOTE_HOST': BROWSER, 'CALLER_SERVICE': 'cockpit'}
        assert wanted.items() <= last(machine, 'SetLimits').items()


def test_with_a_rule(machine, port):
        with Cockpit(port, 'dora', PASSWORD, address=BROWSER) as cockpit:
                code, output = cockpit.spawn('polarshiftctl', 'limits', 'desk', 'max-delay=32')
                assert code == 0, output
        wanted = {'RESULT': 'accepted', 'AUTHORIZED_BY': 'polkit', 'CALLER_LOGIN_USER': 'dora', 'CALLER_REMOTE_HOST': BROWSER}
        assert wanted.items() <= last(machine, 'SetLimits').items()


def test_administrative_access(machine, port):
        """By then it is root that calls: the record still names the person, and where the browser is."""
        wanted = {'RESULT': 'accepted', 'AUTHORIZED_BY': 'root', 'CALLER_UID': '0', 'CALLER_LOGIN_USER': 'admin',
                  'CALLER_REMOTE_HOST': BROWSER, 'CALLER_SERVICE': 'cockpit'}
        with Cockpit(port, 'admin', PASSWORD, address=BROWSER, superuser=True) as cockpit:
                code, output = cockpit.spawn('polarshiftctl', 'limits', 'desk', 'max-delay=33', superuser='require')
                assert code == 0, output
                assert wanted.items() <= last(machine, 'SetLimits').items()
                # As a page does it: over the bridge's own connection, and a password by the command line's standard input.
                cockpit.call('org.polarshift1', '/org/polarshift1/migration/desk', 'org.polarshift1.Migration', 'SetLimits', 'a{sv}t',
                             {'max-delay': {'t': 'd', 'v': 34}}, 0, superuser='require')
                code, output = cockpit.spawn('polarshiftctl', 'set-credential', 'desk.source', '--password-file=-', superuser='require',
                                             stdin='from a page')
                assert code == 0, output
        assert ctl(machine, 'credentials').out.split() == ['desk.source']
        expect(ctl(machine, 'remove-credential', 'desk.source'), 0)
        by_page = records(machine, f'MESSAGE_ID={AUDIT}', 'MIGRATION=desk', 'OPERATION=SetLimits')[-2:]
        assert all(wanted.items() <= record.items() for record in by_page), by_page
