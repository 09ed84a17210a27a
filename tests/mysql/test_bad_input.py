# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input gives the named error with what to do, and changes nothing."""

import contextlib
import os
import subprocess
import time

import pytest

import equal
import schemas
import servers
import steps
from agent import BusError, OperationFailed

GOOD = 'mysql://agent@127.0.0.1:3306/?ssl-mode=disabled'


def create(agent, name='shop', flags=0, **options):
        return agent.manager.call('CreateMigration', '(sa{sv}t)', name, options, flags)


def refused(agent, expected='InvalidOption', **kw):
        with pytest.raises(BusError) as error:
                create(agent, **kw)
        assert error.value.short == expected, error.value
        assert len(error.value.message) > 15, 'no word on what to do'
        assert agent.manager.call('ListMigrations') == []
        return error.value.message


def fails(migration, *expected, method='Start', flags=1):
        """The operation fails with one of the named errors, the phase stays, nothing was begun."""
        phase = migration.get('Phase')
        with pytest.raises((OperationFailed, BusError)) as error:
                migration.operate(method, flags=flags, timeout=60)
        assert error.value.short in expected, error.value
        assert len(error.value.message) > 15, 'no word on what to do'
        assert servers.AGENT_PASSWORD not in str(error.value)
        assert migration.get('Phase') == phase
        return error.value.message


def untouched(*pair):
        """No database of ours, no fence."""
        for server in pair:
                assert not server.admin("SHOW DATABASES LIKE 'polarshift'")
                assert server.variable('read_only') == 0


@pytest.mark.parametrize('uri', [
        '', 'mysql', 'mysql://', 'http://agent@127.0.0.1/', '127.0.0.1:3306', 'mysql://agent@127.0.0.1:99999/',
        'mysql://agent@127.0.0.1:port/', 'mysql://agent@/', 'mysql://@127.0.0.1/?ssl-mode=disabled',
        'mysql://agent@127.0.0.1:3306/?ssl-mode=perhaps', 'mysql://agent@127.0.0.1:3306/?unknown=1',
        'mysql://agent@127.0.0.1:3306/some_database', 'mysql://agent@127.0.0.1:3306/%zz',
        'mysql://agent@127.0.0.1:3306/', 'mysql://agent@127.0.0.1:3306,,/?ssl-mode=disabled', 'mysql://a' * 5000])
@pytest.mark.parametrize('side', ['source', 'destination'])
def test_wrong_uri(agent, uri, side):
        refused(agent, **{'source': GOOD, 'destination': GOOD.replace('3306', '3307'), side: uri})


def test_password_in_uri(agent):
        message = refused(agent, source='mysql://agent:hunter2@127.0.0.1/?ssl-mode=disabled', destination=GOOD)
        assert 'hunter2' not in message and 'hunter2' not in agent.log()
        assert 'credential' in message.lower()


@pytest.mark.parametrize('options', [
        {'no-such-option': 'x'}, {'max-delay': 0.0}, {'max-delay': 61.0}, {'max-delay': 'ten'}, {'expire-after': 0},
        {'create-type': 'move'}, {'fence': 'none'}, {'verify': 'never'}, {'unfit': 'drop'}, {'include': 'shop'},
        {'copy-threads': 'many'}, {'source-credential': '../../etc/passwd'}, {'source-credential': 'UPPER'}])
def test_wrong_option(agent, options):
        refused(agent, source=GOOD, destination=GOOD.replace('3306', '3307'), **options)


def test_missing_endpoint(agent):
        refused(agent, source=GOOD)
        refused(agent, destination=GOOD)


@pytest.mark.parametrize('flags', [2, 1 << 40])
def test_unknown_flag(agent, flags):
        refused(agent, source=GOOD, destination=GOOD.replace('3306', '3307'), flags=flags)


@pytest.mark.parametrize('name', ['UPPER', '1st', 'a/b', 'a.b', 'a' * 49, '../x', 'ü', ' ', 'a b'])
def test_wrong_name(agent, name):
        refused(agent, name=name, source=GOOD, destination=GOOD.replace('3306', '3307'))


def test_validate_only_and_names(agent):
        other = GOOD.replace('3306', '3307')
        assert create(agent, flags=1, source=GOOD, destination=other) == '/'
        assert agent.manager.call('ListMigrations') == []
        path = create(agent, name='', source=GOOD, destination=other)
        assert path.startswith('/org/polarshift1/migration/')
        create(agent, source=GOOD, destination=other)
        with pytest.raises(BusError) as error:
                create(agent, source=GOOD, destination=other)
        assert error.value.short == 'AlreadyExists'
        with pytest.raises(BusError) as error:
                agent.migration('no-such-one')
        assert error.value.short == 'NoSuchMigration'


def test_unknown_options_of_methods(agent):
        path = create(agent, source=GOOD, destination=GOOD.replace('3306', '3307'))
        shop = agent.migration('shop')
        assert shop.path == path
        for method in ('Check', 'Start', 'Cancel'):
                for options, flags in (({'no-such-option': 1}, 0), ({}, 1 << 33)):
                        with pytest.raises(BusError) as error:
                                shop.begin(method, options, flags)
                        assert error.value.short == 'InvalidOption', method
        for method in ('Switch', 'Rollback', 'Complete', 'Verify'):
                with pytest.raises(BusError) as error:
                        shop.begin(method)
                assert error.value.short == 'InvalidPhase', method
        assert shop.get('Phase') == 'created'


@pytest.mark.parametrize('side', ['source', 'destination'])
def test_unreachable_server(agent, pair, side):
        uris = {'source': pair[0].uri('agent'), 'destination': pair[1].uri('agent')}
        uris[side] = f'mysql://agent@127.0.0.1:{servers.free_port()}/?ssl-mode=disabled'
        for s in uris:
                agent.set_credential(f'shop.{s}', servers.AGENT_PASSWORD)
        shop = agent.create('shop', **uris, unfit='skip')
        began = time.monotonic()
        fails(shop, side.capitalize() + 'Unreachable')
        assert time.monotonic() - began < 30
        untouched(*pair)


@pytest.mark.parametrize('side', ['source', 'destination'])
def test_wrong_password(agent, pair, link, side):
        shop = link(*pair)
        agent.set_credential(f'shop.{side}', 'not-the-password')
        fails(shop, 'AuthenticationFailed')
        assert 'not-the-password' not in agent.log()
        untouched(*pair)
        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD + '\n')     # one newline at the end is dropped
        shop.operate('Check', check=False)
        assert shop.get('Phase') == 'created'


def test_no_credential(agent, pair):
        shop = agent.create('shop', pair[0].uri('agent'), pair[1].uri('agent'))
        fails(shop, 'CredentialMissing', 'AuthenticationFailed')
        untouched(*pair)


@pytest.mark.parametrize('side,missing', [
        ('source', 'SELECT'), ('source', 'REPLICATION SLAVE'), ('source', 'SUPER'), ('source', 'REPLICATION CLIENT'),
        ('source', 'PROCESS'), ('destination', 'CREATE'), ('destination', 'INSERT'), ('destination', 'READ_ONLY ADMIN'),
        ('destination', 'REPLICATION SLAVE')])
def test_missing_privilege(pair, link, side, missing):
        source, destination = pair
        schemas.create_shop(source, 100)
        server = source if side == 'source' else destination
        server.script(['SET sql_log_bin=0', "DROP USER 'agent'@'%'"])
        servers.create_agent_account(server, 'agent', servers.AGENT_PASSWORD, without=[missing])
        message = fails(link(source, destination), 'InsufficientPrivilege', 'CheckFailed')
        assert missing.lower().replace('_', ' ') in message.lower().replace('_', ' ') or 'privilege' in message.lower()
        untouched(*pair)
        assert not destination.admin("SHOW DATABASES LIKE 'shop'")


@pytest.mark.parametrize('side,config', [
        ('source', ['skip:log-bin', 'skip:gtid_mode', 'skip:enforce-gtid-consistency', 'skip:log-slave-updates']),
        ('source', ['binlog_format=STATEMENT']), ('source', ['binlog_format=MIXED']),
        ('source', ['binlog_row_image=MINIMAL']),
        ('destination', ['skip:log-bin', 'skip:log-slave-updates']), ('destination', ['binlog_format=MIXED'])])
def test_binlog_unfit(server, link, side, config):
        source = server(servers.MySQL56, config=config if side == 'source' else [])
        destination = server(servers.MariaDB, config=config if side == 'destination' else [])
        schemas.create_shop(source, 100)
        shop = link(source, destination)
        if side == 'destination' and 'MIXED' in config[0]:
                # The agent may set the format itself; a migration that starts has to have it.
                try:
                        steps.start(shop)
                        assert destination.variable('binlog_format') == 'ROW'
                except (OperationFailed, BusError) as e:
                        assert e.short in ('CheckFailed', 'BinlogUnavailable')
                return
        fails(shop, 'CheckFailed', 'BinlogUnavailable')
        untouched(source, destination)


def test_table_in_the_way(pair, link):
        source, destination = pair
        schemas.create_shop(source, 100)
        destination.admin('CREATE DATABASE shop')
        destination.admin('CREATE TABLE shop.orders (mine INT PRIMARY KEY)')
        destination.admin('INSERT INTO shop.orders VALUES (42)')
        message = fails(link(source, destination), 'CheckFailed', 'AlreadyExists')
        assert 'orders' in message or 'shop' in message
        assert destination.admin('SELECT * FROM shop.orders') == ((42,),)
        assert destination.admin('SHOW TABLES FROM shop') == (('orders',),)
        untouched(*pair)


def test_same_server_twice(pair, link):
        schemas.create_shop(pair[0], 100)
        with pytest.raises(BusError) as error:
                link(pair[0], pair[0])
        assert error.value.short == 'InvalidOption'
        untouched(*pair)


def test_unreadable_state(agent, pair, link):
        source, destination = pair
        schemas.create_shop(source, 300)
        steps.start(link(source, destination))
        agent.create('other', GOOD, GOOD.replace('3306', '3307'))
        agent.stop()
        path = os.path.join(agent.state, 'migrations', 'shop', 'state.json')
        for content in ('{"version": 1, "pha', '', '{"version": 999999}', '[]', '\0' * 4096):
                with open(path, 'w', encoding='utf-8') as f:
                        f.write(content)
                agent.start()
                with pytest.raises(BusError) as error:
                        agent.migration('shop').get('Phase')
                assert error.value.short == 'StateUnreadable', error.value
                with pytest.raises(BusError) as error:                  # never made anew under this name
                        agent.create('shop', GOOD, GOOD.replace('3306', '3307'))
                assert error.value.short in ('StateUnreadable', 'AlreadyExists')
                assert agent.migration('other').get('Phase') == 'created'
                agent.stop()
                with open(path, encoding='utf-8') as f:
                        assert f.read() == content
        assert destination.variable('read_only') == 1                   # its servers are left as they were
        agent.start()


# ---- what cannot be carried

UNFIT = {
        'in_memory': 'CREATE TABLE in_memory (a INT PRIMARY KEY) ENGINE=MEMORY',
        'in_myisam': 'CREATE TABLE in_myisam (a INT PRIMARY KEY) ENGINE=MyISAM',
}


def test_unfit_objects(agent, pair, link):
        source, destination = pair
        schemas.create_shop(source, 100)
        source.script([*UNFIT.values(), 'CREATE TABLE without_key (a INT)'], db='shop')
        shop = link(source, destination, unfit='refuse')
        rows = shop.checks()
        text = '\n'.join(' '.join(row) for row in rows)
        for name in UNFIT:
                assert name in text, f'{name} is not named:\n{text}'
        fails(shop, 'UnsupportedObject')
        untouched(*pair)
        shop.operate('Cancel')
        shop.call('Remove', '(a{sv}t)', {}, 0)
        # unfit=skip carries the rest
        shop = link(source, destination, unfit='skip')
        steps.start(shop)
        there = {name for name, in destination.admin('SHOW TABLES FROM shop')}
        assert {'orders', 'stock', 'customers', 'without_key'} <= there
        assert not there & set(UNFIT)


# ---- a disk that fills up

@contextlib.contextmanager
def small_disk(path, size):
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', path], check=False,
                              stderr=subprocess.PIPE)
        if done.returncode:
                pytest.skip(f'no file system can be mounted here: {done.stderr.decode().strip()}')
        try:
                yield lambda larger: subprocess.run(['mount', '-o', f'remount,size={larger}', path], check=True)
        finally:
                subprocess.run(['umount', '-l', path], check=True)


def test_full_disk(server, link):
        source = server(servers.MySQL56)
        # A tmpfs takes neither direct nor asynchronous input and output.
        destination = server(servers.MariaDB, config=['innodb_flush_method=fsync', 'innodb_use_native_aio=0'])
        schemas.create_shop(source, 20000)
        destination.admin('CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4')
        destination.stop()
        with small_disk(os.path.join(destination.datadir, 'shop'), '12m') as grow:
                with open(os.path.join(destination.datadir, 'shop', 'db.opt'), 'w', encoding='ascii') as f:
                        f.write('default-character-set=utf8mb4\ndefault-collation=utf8mb4_general_ci\n')
                destination.start()
                shop = link(source, destination)
                shop.operate('Start', flags=1)
                shop.wait_property('ReplicationState', 'failed', 90)
                name, message = shop.get('LastError')
                assert name.startswith('org.polarshift1.Error.') or name, 'no error name'
                print(f'{name}: {message}')
                assert shop.get('Phase') == 'copying'
                assert not steps.write_refused(source)
                grow('400m')
                shop.call('Resume', '(a{sv}t)', {}, 0)
                shop.wait(lambda: shop.get('ReplicationState') != 'failed', 15, 'the retry')
                shop.wait_phase('synchronizing', 120)
                equal.wait_equal(source, destination, ['shop'])
                shop.operate('Cancel')
                destination.stop()
