# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole migration by polarshiftctl on a booted machine, interrupted in every phase: restarted, rebooted, upgraded. The source is
reached over TCP, the destination over TLS with a client certificate; one password comes from systemd, the other one is stored,
encrypted. Then a short one over sockets."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import equal
import package as package_module
import schemas
from conftest import SECRET
from test_service import AUDIT, UNIT, ctl, expect, records, show, until

CUSTOMERS = 3000
KEY = 'a key of this machine, 32 bytes at least'


def get(machine, name, migration='shop'):
        return ctl(machine, 'show', migration, '-p', name, '--value').out.strip()


def wait_get(machine, name, value, timeout=120):
        until(lambda: get(machine, name) == value, f'{name} = {value}', timeout)


def stop_and_start(machine):
        """A clean end, and on from there. Clean is within 10 s: what lasts longer the agent leaves, and then ends with a failure."""
        machine.run('systemctl', 'stop', UNIT)
        assert show(machine, 'Result', 'ActiveState') == {'Result': 'success', 'ActiveState': 'inactive'}
        machine.run('systemctl', 'start', UNIT)


@pytest.fixture(scope='module')
def monitored(machine):
        """Everything that goes over the system bus from here on, as root sees it."""
        log = os.path.join(machine.folder, 'monitor')
        with open(log, 'wb') as out:
                process = machine.popen('busctl', 'monitor', '--json=short', stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
        until(lambda: ctl(machine, 'list') and os.path.getsize(log) > 0, 'the monitor')
        yield log
        process.send_signal(signal.SIGTERM)
        process.wait(10)


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


def test_credentials(machine, given, monitored):
        expect(ctl(machine, 'set-credential', 'shop.destination', '--password-file=-', stdin=SECRET), 0)
        for name in ('shop.ca', 'shop.cert', 'shop.key'):
                expect(ctl(machine, 'set-credential', name, f'--password-file=/root/{name}'), 0)
                os.unlink(f'{machine.root}/root/{name}')
        assert ctl(machine, 'credentials').out.split() == ['shop.ca', 'shop.cert', 'shop.destination', 'shop.key', 'shop.source']
        stored = machine.run('stat', '-c', '%U %a', '/var/lib/polarshift/credentials', '/var/lib/polarshift/credentials/shop.destination').out
        assert stored.split() == ['polarshift', '700', 'polarshift', '600'], stored


def test_create_and_check(machine, given, sides):
        source, destination = sides
        expect(ctl(machine, 'create', 'shop', f'--source=mysql://agent@127.0.0.1:{source.port}/?ssl-mode=disabled',
                   f'--destination=mysql://agent@127.0.0.1:{destination.port}/', '-o', 'destination-ca=shop.ca',
                   '-o', 'destination-cert=shop.cert', '-o', 'destination-key=shop.key', '-o', 'unfit=skip', '-o', 'max-copy-rate=4K'), 0)
        expect(ctl(machine, 'check', 'shop'), 0)
        assert re.fullmatch(r'\d+ migrations?; shop: created', show(machine, 'StatusText')['StatusText'])
        stop_and_start(machine)
        assert get(machine, 'Phase') == 'created'


def test_copying(machine, given, package, folder):
        """Stopped, rebooted and upgraded while it copies."""
        expect(ctl(machine, 'start', 'shop', '--accept-warnings'), 0)
        wait_get(machine, 'Phase', 'copying')
        until(lambda: 'shop: copying' in show(machine, 'StatusText')['StatusText'], 'the status')
        stop_and_start(machine)
        assert get(machine, 'Phase') == 'copying'
        machine.reboot()
        assert get(machine, 'Phase') == 'copying'
        newer = package_module.with_version(package, folder, '0.1.0+test1')
        shutil.copy(newer, f'{machine.root}/newer.deb')
        before = show(machine, 'MainPID')
        machine.run('dpkg', '--install', '/newer.deb')
        assert machine.run('dpkg-query', '--show', '--showformat=${Version}', 'polarshift').out == '0.1.0+test1'
        assert show(machine, 'MainPID') != before and show(machine, 'ActiveState') == {'ActiveState': 'active'}
        assert get(machine, 'Phase') == 'copying'
        expect(ctl(machine, 'limits', 'shop', 'max-copy-rate=0'), 0)
        expect(ctl(machine, 'wait', 'shop', '--for=synchronizing', timeout=400), 0)


def change_rows(server, seed):
        with server.connect(db='shop') as c, c.cursor() as cursor:
                cursor.execute('UPDATE customers SET balance = balance + %s WHERE id %% 7 = %s', (seed, seed % 7))
                cursor.execute('INSERT INTO ledger (writer, seq, token) VALUES (99, %s, UNHEX(MD5(%s)))', (seed, seed))


def test_synchronizing(machine, given, sides):
        source, _ = sides
        change_rows(source, 1)
        stop_and_start(machine)
        change_rows(source, 2)
        machine.reboot()
        change_rows(source, 3)
        assert get(machine, 'Phase') == 'synchronizing'
        equal.wait_equal(*sides, ['shop'], 180)


def ready(machine):
        until(lambda: get(machine, 'ReverseProven') in ('yes', 'true'), 'the proof of the way back', 300)
        expect(ctl(machine, 'verify', 'shop', timeout=400), 0)


def test_switch_and_back(machine, given, sides):
        source, destination = sides
        ready(machine)
        expect(ctl(machine, 'plan', 'shop', 'switch'), 0)
        expect(ctl(machine, 'switch', 'shop', '--yes', timeout=400), 0)
        assert get(machine, 'Phase') == 'switched' and source.variable('read_only') == 1 and destination.variable('read_only') == 0
        change_rows(destination, 4)
        stop_and_start(machine)
        machine.reboot()
        change_rows(destination, 5)
        assert get(machine, 'Phase') == 'switched'
        equal.wait_equal(*sides, ['shop'], 180)
        expect(ctl(machine, 'rollback', 'shop', '--yes', timeout=400), 0)
        assert source.variable('read_only') == 0
        change_rows(source, 6)
        equal.wait_equal(*sides, ['shop'], 180)


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
        for verb in (('show', 'shop'), ('report', 'shop'), ('log', 'shop', '--json=short'), ('plan', 'shop', 'switch')):
                done = ctl(machine, *verb, '--no-pager')
                assert done.code == 0 and SECRET not in done.out + done.err
        assert SECRET not in machine.read('/var/lib/polarshift/migrations/shop/state.json')
        with open(monitored, encoding='utf-8', errors='replace') as f:
                seen = f.read()
        assert 'SetCredential' in seen and SECRET not in seen and 'PRIVATE KEY' not in seen
        assert re.search(r'Max core file size\s+0\s+0\s', machine.run('cat', f'/proc/{pid}/limits').out)
        assert 'PRIVATE KEY' not in machine.run('journalctl', '--no-pager', '-o', 'export').out


def test_complete(machine, given, sides):
        ready(machine)
        expect(ctl(machine, 'switch', 'shop', '--yes', timeout=400), 0)
        expect(ctl(machine, 'complete', 'shop', '--yes', timeout=400), 0)
        assert get(machine, 'Phase') == 'completed'
        expect(ctl(machine, 'report', 'shop', '--format=text'), 0)
        stop_and_start(machine)
        assert get(machine, 'Phase') == 'completed'


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
