# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service as systemd, both kinds of bus, polkit, logind and the journal see it. No server is contacted here."""

import contextlib
import json
import os
import re
import select
import subprocess
import time

import pytest

from conftest import PASSWORD, SECRET, TOP
from freeze import Frozen

UNIT = 'polarshiftd.service'
URIS = ('--source=mysql://agent@db1.example/?ssl-mode=required', '--destination=mysql://agent@db2.example/?ssl-mode=required')
AUDIT = '7e4a628f06944785bf1c1f11381f7afd'


def show(machine, *properties):
        out = machine.run('systemctl', 'show', UNIT, *(f'--property={p}' for p in properties)).out
        return dict(line.split('=', 1) for line in out.splitlines())


def ctl(machine, *arguments, user=None, **options):
        return machine.run('polarshiftctl', *arguments, user=user, check=False, **options)


def expect(done, code):
        assert done.code == code, done
        return done


def until(condition, what, timeout=120):
        deadline = time.monotonic() + timeout
        while True:
                value = condition()
                if value:
                        return value
                assert time.monotonic() < deadline, f'{what} did not come'
                time.sleep(0.1)


def records(machine, *matches):
        """Journal records as objects, in order."""
        return [json.loads(line) for line in machine.journal('-o', 'json', '--all', *matches).splitlines()]


@pytest.fixture(scope='module', autouse=True, params=['dbus-broker', 'dbus-daemon'])
def bus(request, machine):
        """Everything here is tried with either."""
        machine.use_bus(request.param)
        return request.param


@contextlib.contextmanager
def drop_in(machine, *lines):
        """The agent runs with these settings of its unit for a while."""
        machine.write(f'/etc/systemd/system/{UNIT}.d/test.conf', '\n'.join(('[Service]', *lines, '')))
        machine.shell(f'systemctl daemon-reload; systemctl restart {UNIT}')
        try:
                yield
        finally:
                machine.shell(f'rm /etc/systemd/system/{UNIT}.d/test.conf; systemctl daemon-reload; systemctl restart {UNIT}')


def started_again(machine, before):
        state = show(machine, 'MainPID', 'ActiveState')
        return state['MainPID'] not in (before, '0') and state['ActiveState'] == 'active'


# --- the unit ---

def test_installed_and_running(machine):
        seen = show(machine, 'Type', 'BusName', 'ActiveState', 'SubState', 'StatusText', 'User', 'WatchdogUSec', 'UnitFileState', 'NotifyAccess')
        assert seen == {'Type': 'notify', 'BusName': 'org.polarshift1', 'ActiveState': 'active', 'SubState': 'running', 'User': 'polarshift',
                        'WatchdogUSec': '3min', 'UnitFileState': 'enabled', 'NotifyAccess': 'main', 'StatusText': '0 migrations'}
        assert machine.run('stat', '-c', '%U %a', '/var/lib/polarshift').out.split() == ['polarshift', '700']
        assert machine.run('getent', 'passwd', 'polarshift').out.strip().endswith('/usr/sbin/nologin')
        expect(ctl(machine, 'list', user='ordinary'), 0)


def test_hardened(machine):
        """1.2 is what systemd's own best services have."""
        out = machine.run('systemd-analyze', 'security', '--no-pager', UNIT).out
        level = float(re.search(r'Overall exposure level for polarshiftd.service: (\d+\.\d+)', out).group(1))
        print(out.splitlines()[-1])
        assert level <= 1.2, out
        verified = machine.run('systemd-analyze', 'verify', '--man=no', UNIT)
        assert 'polarshift' not in verified.err, verified


def test_autopkgtest_of_the_package(machine):
        """What debian/tests tries where the package is installed."""
        with open(TOP / 'debian' / 'tests' / 'installed', encoding='ascii') as f:
                done = machine.shell(f.read())
        assert 'Overall exposure level' in done.out, done


def test_no_core_files(machine):
        """A crash leaves no picture of the agent's memory, even where the unit would let it: then the agent is what prevents it."""
        pid = show(machine, 'MainPID')['MainPID']
        limits = machine.run('cat', f'/proc/{pid}/limits').out
        assert re.search(r'Max core file size\s+0\s+0\s', limits), limits
        with drop_in(machine, 'LimitCORE=infinity', 'WorkingDirectory=/var/lib/polarshift'):
                pid = show(machine, 'MainPID')['MainPID']
                assert machine.run('stat', '-c', '%U', f'/proc/{pid}/environ').out.strip() == 'root', 'the kernel would dump it'
                machine.run('kill', '-ABRT', pid)
                until(lambda: started_again(machine, pid), 'the restart')
                ended = machine.journal('-u', UNIT, '_PID=1', 'MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15', '-n', '1', '-o', 'cat')
                assert 'code=killed, status=6/ABRT' in ended, ended
                left = machine.run('find', '/var/lib/polarshift', '/var/crash', '/var/lib/systemd/coredump', '-type', 'f', '-name', '*core*', check=False).out
                assert left == '', left


def test_own_name(machine):
        """Nobody but the agent's user may be org.polarshift1."""
        for user, answer in (('ordinary', 'denied'), ('admin', 'denied')):
                done = machine.run('busctl', 'call', 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'RequestName', 'su',
                                   'org.polarshift1', '0', user=user, check=False)
                assert done.code != 0 and answer in done.err.lower(), done


def test_descriptor(machine):
        """A password goes over the bus as a descriptor, and its text does not."""
        with machine.monitor() as log:
                expect(ctl(machine, 'set-credential', 'some.source', '--password-file=-', stdin=SECRET), 0)
                assert 'some.source' in ctl(machine, 'credentials').out.split()
                expect(ctl(machine, 'remove-credential', 'some.source'), 0)
                until(lambda: 'RemoveCredential' in log.read_text(), 'the monitor')
        assert '"SetCredential"' in log.read_text() and SECRET not in log.read_text()


def test_activation(machine):
        """A call starts the agent when it is not there."""
        machine.run('systemctl', 'stop', UNIT)
        assert show(machine, 'ActiveState', 'Result') == {'ActiveState': 'inactive', 'Result': 'success'}
        expect(ctl(machine, 'list', user='ordinary'), 0)
        assert show(machine, 'ActiveState') == {'ActiveState': 'active'}


def test_interface_files(machine):
        """What is installed as the interface's description is what the agent answers."""
        answered = machine.run('busctl', 'introspect', '--xml-interface', 'org.polarshift1', '/org/polarshift1').out
        described = machine.read('/usr/share/dbus-1/interfaces/org.polarshift1.Manager.xml')
        methods = re.findall(r'<method name="(\w+)"', described)
        assert len(methods) > 8
        assert all(f'<method name="{name}"' in answered for name in methods)
        level = machine.run('systemctl', 'service-log-level', UNIT).out.strip()
        assert level == 'info'


# --- who may do what ---

def with_prompt(machine, user, command, password):
        """COMMAND in a login session on a terminal; types the password when it is asked for. Exit status, and what was seen."""
        process = machine.popen('systemd-run', '--quiet', '--wait', '--pipe', '--collect', 'script', '--quiet', '--command', f'login -f {user}',
                                '/dev/null', stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
                def type_in(text):
                        process.stdin.write(text.encode() + b'\n')
                        process.stdin.flush()
                type_in(f'{command}; echo "ended with $?"')
                seen, typed, deadline = '', 0, time.monotonic() + 150
                while not re.search(r'ended with \d', seen):
                        assert time.monotonic() < deadline, f'no end: {seen}'
                        if select.select([process.stdout], [], [], 1)[0]:
                                more = os.read(process.stdout.fileno(), 4096)
                                assert more, f'the terminal is gone: {seen}'
                                seen += more.decode(errors='replace')
                        # What is typed before the prompt has switched the echo off is shown, and thrown away: then once more.
                        if re.search(rf'assword: (?:{re.escape(password)})*\s*$', seen) and time.monotonic() > typed + 5:
                                type_in(password)
                                typed = time.monotonic()
                type_in('exit')
                process.communicate(timeout=30)
                return int(re.search(r'ended with (\d+)', seen).group(1)), seen
        finally:
                process.kill()
                process.wait()


@pytest.fixture(scope='module')
def staging(machine, bus):
        """Two migrations that were never started."""
        for name in ('staging', 'prod'):
                expect(ctl(machine, 'create', name, *URIS), 0)
        yield
        for name in ('staging', 'prod'):
                expect(ctl(machine, 'remove', name), 0)


def test_ordinary_user(machine, staging):
        for words in (('check', 'staging'), ('cancel', 'staging', '--yes'), ('switch', 'staging', '--yes'), ('limits', 'staging', 'max-delay=5'),
                      ('set-credential', 'staging.source', '--password-file=/etc/hostname'), ('credentials',), ('report', 'staging')):
                expect(ctl(machine, *words, user='ordinary'), 4)
        for words in (('list',), ('status', 'staging'), ('show', 'staging')):
                expect(ctl(machine, *words, user='ordinary'), 0)
        uid = machine.run('id', '-u', 'ordinary').out.strip()
        refused = records(machine, f'MESSAGE_ID={AUDIT}', f'CALLER_UID={uid}', 'MIGRATION=staging')
        assert [r['OPERATION'] for r in refused if r['RESULT'] == 'refused'][:2] == ['Check', 'Cancel'], refused
        assert all(r['RESULT'] == 'refused' and r['ERROR_NAME'] == 'AccessDenied' for r in refused)


def test_user_with_a_rule(machine, staging):
        """polkit/example.rules: dba manages everything, and switches staging alone."""
        expect(ctl(machine, 'limits', 'prod', 'max-delay=30', user='dora'), 0)
        expect(ctl(machine, 'switch', 'staging', '--yes', user='dora'), 6)       # allowed, and not possible in this phase
        expect(ctl(machine, 'switch', 'prod', '--yes', user='dora'), 4)
        expect(ctl(machine, 'credentials', user='dora'), 0)
        expect(ctl(machine, 'set-credential', 'prod.source', '--password-file=/etc/hostname', user='dora'), 4)
        permissions = dict(line.split()[:2] for line in ctl(machine, 'permissions', '--no-legend', user='dora').out.splitlines())
        assert permissions['org.polarshift1.manage'] == 'yes' and permissions['org.polarshift1.complete'] == 'challenge', permissions


def test_administrator(machine, staging):
        """Somebody of the group sudo has to give the password; without an agent to ask for it there is none."""
        expect(ctl(machine, 'limits', 'prod', 'max-delay=20', '--no-ask-password', user='admin'), 4)
        code, seen = with_prompt(machine, 'admin', 'polarshiftctl limits prod max-delay=20', PASSWORD)
        assert code == 0, seen
        code, seen = with_prompt(machine, 'admin', 'polarshiftctl limits prod max-delay=21', 'wrong')
        assert code == 4, seen
        last = records(machine, f'MESSAGE_ID={AUDIT}', 'MIGRATION=prod', 'OPERATION=SetLimits')[-2:]
        uid = machine.run('id', '-u', 'admin').out.strip()
        assert [(r['RESULT'], r.get('AUTHORIZED_BY'), r['CALLER_UID'], r['CALLER_LOGIN_USER']) for r in last] == [
                ('accepted', 'polkit', uid, 'admin'), ('refused', None, uid, 'admin')], last


def test_who_is_behind_root(machine, staging):
        """A call by sudo comes from uid 0; the record names the person, and the host."""
        machine.write('/etc/sudoers.d/test', 'admin ALL=(ALL) NOPASSWD: ALL\n', mode=0o440)
        script = 'sudo polarshiftctl limits prod max-delay=25; exit\n'
        done = machine.run('systemd-run', '--quiet', '--wait', '--pipe', '--collect', 'script', '--quiet', '--command',
                           'login -h db-desk.example.org -f admin', '/dev/null', stdin=script, check=False)
        record = records(machine, f'MESSAGE_ID={AUDIT}', 'MIGRATION=prod', 'OPERATION=SetLimits')[-1]
        wanted = {'RESULT': 'accepted', 'AUTHORIZED_BY': 'root', 'CALLER_UID': '0', 'CALLER_LOGIN_USER': 'admin',
                  'CALLER_REMOTE_HOST': 'db-desk.example.org', 'CALLER_SERVICE': 'login'}
        assert wanted.items() <= record.items(), (record, done)
        history = [json.loads(line) for line in machine.read('/var/lib/polarshift/migrations/prod/history.jsonl').splitlines()]
        assert {'method': 'SetLimits', 'uid': '0', 'login-user': 'admin', 'remote-host': 'db-desk.example.org'}.items() <= history[-1].items() \
                or any({'method': 'SetLimits', 'uid': '0', 'login-user': 'admin'}.items() <= h.items() for h in history), history


def test_refused_calls_are_in_the_history(machine, staging):
        history = [json.loads(line) for line in machine.read('/var/lib/polarshift/migrations/prod/history.jsonl').splitlines()]
        refused = [h for h in history if h['event'] == 'call' and h['result'] == 'refused']
        assert {'Switch', 'SetLimits'} <= {h['method'] for h in refused}, history


def test_without_polkit(machine, staging):
        machine.run('systemctl', 'mask', '--runtime', '--now', 'polkit.service')
        try:
                expect(ctl(machine, 'limits', 'prod', 'max-delay=10', user='dora'), 4)
                expect(ctl(machine, 'limits', 'prod', 'max-delay=10', user='admin'), 4)
                expect(ctl(machine, 'limits', 'prod', 'max-delay=11'), 0)
                expect(ctl(machine, 'list', user='ordinary'), 0)
        finally:
                machine.run('systemctl', 'unmask', '--runtime', 'polkit.service')
                machine.run('systemctl', 'start', 'polkit.service')
        expect(ctl(machine, 'limits', 'prod', 'max-delay=12', user='dora'), 0)


def test_catalog(machine, staging):
        """journalctl -x says what a record means and what to do."""
        out = machine.journal('-x', 'MIGRATION=prod', f'MESSAGE_ID={AUDIT}', '-n', '1')
        assert 'A method was called' in out and 'CALLER_' in out, out
        known = machine.run('journalctl', '--list-catalog', '--no-pager').out
        described = re.findall(r'^-- ([0-9a-f]{32})$', machine.read('/usr/lib/systemd/catalog/polarshift.catalog'), re.M)
        assert len(described) > 20 and all(i in known for i in described)


def test_watchdog(machine):
        """A loop that stands still, while other threads may run, is ended and started again: it is the loop that feeds the watchdog."""
        with drop_in(machine, 'WatchdogSec=3s', 'TimeoutAbortSec=1s'):
                first = show(machine, 'MainPID')['MainPID']
                with Frozen(machine.outside(first)) as frozen:
                        until(lambda: frozen.ended() and started_again(machine, first), 'the restart')
                assert 'watchdog' in machine.journal('-u', UNIT, '-n', '30').lower()
        assert SECRET not in machine.journal('-u', UNIT)
