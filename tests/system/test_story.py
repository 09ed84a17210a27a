# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole migration by polarshiftctl on a booted machine while clients write, interrupted in every phase: stopped, rebooted,
upgraded. The source is reached over TCP, the destination over TLS with a client certificate; one password comes from systemd, the
other one is stored, encrypted. Then a short one over sockets."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import equal
import package as package_module
import schemas
import workload
from conftest import SECRET
from test_service import AUDIT, UNIT, ctl, expect, records, show, until

CUSTOMERS = 3000
KEY = 'a key of this machine, 32 bytes at least'


def get(machine, name, migration='shop'):
        return ctl(machine, 'show', migration, '-p', name, '--value').out.strip()


def wait_get(machine, name, value, timeout=120):
        until(lambda: get(machine, name) == value, f'{name} = {value}', timeout)


def remembered(machine):
        """What must be the same whatever happens to the agent."""
        return {name: get(machine, name) for name in ('Phase', 'LastOperation', 'Paused', 'CreatedAt')}


def stop_and_start(machine):
        """A clean end, and on from there. Clean is within 10 s: what lasts longer the agent leaves, and then ends with a failure."""
        began = time.monotonic()
        machine.run('systemctl', 'stop', UNIT)
        assert time.monotonic() - began < 12            # and what it takes to ask
        assert show(machine, 'Result', 'ActiveState') == {'Result': 'success', 'ActiveState': 'inactive'}
        machine.run('systemctl', 'start', UNIT)


class Interruptions:
        """What an administrator does to the machine, and that nothing is forgotten over it."""

        def __init__(self, machine, package, folder):
                self.machine, self.package, self.folder, self.upgrades = machine, package, folder, 0

        def upgrade(self):
                """The package installs the next version; its scripts restart the agent."""
                self.upgrades += 1
                version = f'0.1.0+test{self.upgrades}'
                shutil.copy(package_module.with_version(self.package, self.folder, version), f'{self.machine.root}/newer.deb')
                before = show(self.machine, 'MainPID')
                self.machine.run('dpkg', '--install', '/newer.deb')
                assert self.machine.run('dpkg-query', '--show', '--showformat=${Version}', 'polarshift').out == version
                assert show(self.machine, 'MainPID') != before and show(self.machine, 'ActiveState') == {'ActiveState': 'active'}

        def all(self, linked=True):
                """LINKED: rows flow in this phase, and have to afterwards."""
                before = remembered(self.machine)
                for interrupt in (lambda: stop_and_start(self.machine), self.machine.reboot, self.upgrade):
                        interrupt()
                        assert remembered(self.machine) == before
                        if linked:
                                wait_get(self.machine, 'ReplicationState', 'running')


@pytest.fixture(scope='module')
def interruptions(machine, package, folder):
        return Interruptions(machine, package, folder)


@pytest.fixture(scope='module')
def monitored(machine):
        """Everything that goes over the system bus until the first reboot."""
        with machine.monitor() as log:
                yield log


@pytest.fixture(scope='module')
def given(machine, authority, sides):
        """What an administrator gives to the unit and to the agent."""
        source, _ = sides
        machine.write('/etc/credstore/shop.source', SECRET + '\n', mode=0o600)
        machine.write('/etc/credstore/polarshift-key', KEY, mode=0o600)
        machine.write(f'/etc/systemd/system/{UNIT}.d/credentials.conf',
                      '[Service]\nLoadCredential=shop.source\nLoadCredential=polarshift-key\n')
        machine.run('systemctl', 'daemon-reload')
        machine.run('systemctl', 'restart', UNIT)
        certificate, key = authority.issue('client')
        for name, path in (('shop.ca', authority.pem), ('shop.cert', certificate), ('shop.key', key)):
                with open(path, encoding='ascii') as f:
                        machine.write(f'/root/{name}', f.read(), mode=0o600)
        schemas.create_shop(source, CUSTOMERS, foreign_keys=True)


@pytest.fixture(scope='module')
def clients(given, sides):
        """They go on writing to the side that takes it, whatever happens to the agent."""
        with workload.Workload(sides, writers=2, rate=40) as load:
                yield load


def compare_at_rest(clients, sides):
        clients.pause()
        equal.wait_equal(*sides, ['shop'], 180)
        clients.go_on()


def test_credentials(machine, given, monitored):
        expect(ctl(machine, 'set-credential', 'shop.destination', '--password-file=-', stdin=SECRET), 0)
        for name in ('shop.ca', 'shop.cert', 'shop.key'):
                expect(ctl(machine, 'set-credential', name, f'--password-file=/root/{name}'), 0)
                os.unlink(f'{machine.root}/root/{name}')
        assert ctl(machine, 'credentials').out.split() == ['shop.ca', 'shop.cert', 'shop.destination', 'shop.key', 'shop.source']
        stored = machine.run('stat', '-c', '%U %a', '/var/lib/polarshift/credentials', '/var/lib/polarshift/credentials/shop.destination').out
        assert stored.split() == ['polarshift', '700', 'polarshift', '600'], stored


def test_create_and_check(machine, given, sides, interruptions):
        source, destination = sides
        expect(ctl(machine, 'create', 'shop', f'--source=mysql://agent@127.0.0.1:{source.port}/?ssl-mode=disabled',
                   f'--destination=mysql://agent@127.0.0.1:{destination.port}/', '-o', 'destination-ca=shop.ca',
                   '-o', 'destination-cert=shop.cert', '-o', 'destination-key=shop.key', '-o', 'unfit=skip', '-o', 'max-copy-rate=4K'), 0)
        expect(ctl(machine, 'check', 'shop'), 0)
        assert re.fullmatch(r'\d+ migrations?; shop: created', show(machine, 'StatusText')['StatusText'])
        interruptions.all(linked=False)
        assert get(machine, 'Phase') == 'created' and 'operation=check result=done' in get(machine, 'LastOperation')


def test_copying(machine, clients, interruptions):
        expect(ctl(machine, 'start', 'shop', '--accept-warnings'), 0)
        wait_get(machine, 'Phase', 'copying')
        until(lambda: 'shop: copying' in show(machine, 'StatusText')['StatusText'], 'the status')
        interruptions.all()
        assert get(machine, 'Phase') == 'copying'
        expect(ctl(machine, 'limits', 'shop', 'max-copy-rate=0'), 0)
        expect(ctl(machine, 'wait', 'shop', '--for=synchronizing', timeout=400), 0)


def test_synchronizing(machine, clients, sides, interruptions):
        interruptions.all()
        assert get(machine, 'Phase') == 'synchronizing'
        until(lambda: 'shop: synchronizing' in show(machine, 'StatusText')['StatusText'], 'the status')
        compare_at_rest(clients, sides)


def ready(machine):
        until(lambda: get(machine, 'ReverseProven') in ('yes', 'true'), 'the proof of the way back', 300)
        expect(ctl(machine, 'verify', 'shop', timeout=400), 0)


def test_switch_and_back(machine, clients, sides, interruptions):
        source, destination = sides
        ready(machine)
        expect(ctl(machine, 'plan', 'shop', 'switch'), 0)
        expect(ctl(machine, 'switch', 'shop', '--yes', timeout=400), 0)
        assert get(machine, 'Phase') == 'switched' and source.variable('read_only') == 1 and destination.variable('read_only') == 0
        interruptions.all()
        assert get(machine, 'Phase') == 'switched' and 'operation=switch result=done' in get(machine, 'LastOperation')
        assert source.variable('read_only') == 1 and destination.variable('read_only') == 0
        until(lambda: 'shop: switched' in show(machine, 'StatusText')['StatusText'], 'the status')
        compare_at_rest(clients, sides)
        ready(machine)
        expect(ctl(machine, 'rollback', 'shop', '--yes', timeout=400), 0)
        assert source.variable('read_only') == 0
        compare_at_rest(clients, sides)


def test_secrets(machine, given, monitored):
        """The password is where it was put, and nowhere else."""
        pid = show(machine, 'MainPID')['MainPID']
        assert SECRET not in machine.shell('cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" || true').out
        assert SECRET not in machine.run('journalctl', '--no-pager', '-o', 'export').out
        found = machine.run('grep', '--recursive', '--files-with-matches', '--text', '--fixed-strings', SECRET, '/var/lib', '/var/log', '/etc/polarshift',
                            '/run/log', '/tmp', '/var/tmp', '/var/crash', check=False).out.split()
        assert found == [], found
        objects = machine.run('busctl', 'call', 'org.polarshift1', '/org/polarshift1', 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects').out
        assert 'shop' in objects and SECRET not in objects
        with machine.monitor() as log:
                for verb in (('show', 'shop'), ('report', 'shop'), ('log', 'shop', '--json=short'), ('plan', 'shop', 'switch'), ('check', 'shop'),
                             ('set-credential', 'shop.destination', '--password-file=-')):
                        done = ctl(machine, *verb, '--no-pager', stdin=SECRET)
                        assert done.code == 0 and SECRET not in done.out + done.err, done
                until(lambda: '"SetCredential"' in log.read_text(errors='replace'), 'the monitor')
        assert SECRET not in machine.read('/var/lib/polarshift/migrations/shop/state.json')
        for seen in (monitored.read_text(errors='replace'), log.read_text(errors='replace')):
                assert 'SetCredential' in seen and SECRET not in seen and 'PRIVATE KEY' not in seen
        assert re.search(r'Max core file size\s+0\s+0\s', machine.run('cat', f'/proc/{pid}/limits').out)
        assert 'PRIVATE KEY' not in machine.run('journalctl', '--no-pager', '-o', 'export').out


def test_complete(machine, clients, sides, interruptions):
        ready(machine)
        expect(ctl(machine, 'switch', 'shop', '--yes', timeout=400), 0)
        compare_at_rest(clients, sides)
        expect(ctl(machine, 'complete', 'shop', '--yes', timeout=400), 0)
        expect(ctl(machine, 'report', 'shop', '--format=text'), 0)
        interruptions.all(linked=False)
        assert get(machine, 'Phase') == 'completed'
        clients.stop()
        acknowledged, _ = clients.check(sides[1])
        assert acknowledged > 0 and len(clients.switches()) >= 3, (acknowledged, clients.switches())


def in_order(haystack, needles):
        at = 0
        for needle in needles:
                found = next((i for i in range(at, len(haystack)) if needle(haystack[i])), None)
                assert found is not None, f'{needle.__doc__ or needle} did not come after record {at}: {json.dumps(haystack, indent=1)[-6000:]}'
                at = found + 1


def test_the_story_in_the_journal(machine, given):
        """journalctl MIGRATION=shop tells it in order: what was asked for, and what came of it."""
        def called(operation):
                return lambda r: r.get('MESSAGE_ID') == AUDIT and r.get('OPERATION') == operation and r.get('RESULT') == 'accepted'

        def phase(name):
                return lambda r: r.get('NEW_PHASE') == name
        story = [called('CreateMigration'), called('Check'), called('Start'), phase('copying'), phase('synchronizing'), called('Switch'),
                 phase('switched'), called('Rollback'), phase('synchronizing'), called('Switch'), phase('switched'), called('Complete'),
                 phase('completed')]
        in_order(records(machine, 'MIGRATION=shop'), story)
        assert 'Switch of migration' in ctl(machine, 'log', 'shop', '--no-pager').out
        history = [json.loads(line) for line in machine.read('/var/lib/polarshift/migrations/shop/history.jsonl').splitlines()]
        calls = [h for h in history if h['event'] == 'call']
        assert [c['method'] for c in calls if c['result'] == 'accepted' and c['method'] in ('Start', 'Switch', 'Rollback', 'Complete')] == [
                'Start', 'Switch', 'Rollback', 'Switch', 'Complete']
        assert all(c['uid'] == '0' and c['authorized-by'] == 'root' for c in calls)


def test_over_sockets(machine, given, sides):
        source, destination = sides
        for server in sides:
                server.script(['SET GLOBAL read_only = 0', 'DROP DATABASE shop', 'DROP DATABASE IF EXISTS polarshift'])
        source.script(['CREATE DATABASE small', 'CREATE TABLE small.t (id INT PRIMARY KEY, v VARCHAR(20))', "INSERT INTO small.t VALUES (1, 'one')"])
        for side in ('source', 'destination'):
                expect(ctl(machine, 'set-credential', f'sockets.{side}', '--password-file=-', stdin=SECRET), 0)
        expect(ctl(machine, 'create', 'sockets', '--source=mysql://agent@localhost/?socket=/srv/mysql/source.sock',
                   '--destination=mysql://agent@localhost/?socket=/srv/mysql/destination.sock', '-o', 'unfit=skip'), 0)
        expect(ctl(machine, 'start', 'sockets', '--accept-warnings'), 0)
        expect(ctl(machine, 'wait', 'sockets', '--for=synchronizing', timeout=400), 0)
        source.script(["INSERT INTO small.t VALUES (2, 'two')"])
        equal.wait_equal(*sides, ['small'], 180)
        expect(ctl(machine, 'cancel', 'sockets', '--yes', timeout=400), 0)
        assert destination.variable('read_only') == 0
        machine.reboot()
        assert get(machine, 'Phase', 'sockets') == 'canceled' and destination.variable('read_only') == 0
