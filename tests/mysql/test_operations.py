# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations around the life cycle, each met by what may come in its way on real servers."""

import functools
import json
import re
import time

import pymysql
import pytest
from gi.repository import Gio, GLib

import equal
import schemas
import servers
import steps
from agent import BusError, OperationFailed
from workload import Workload

MARK = 777000001        # the key of a row that only one side has


def small(link, source, destination, customers=300, **options):
        """A migration of a small shop, in step, ready for a switch."""
        schemas.create_shop(source, customers)
        shop = link(source, destination, **options)
        steps.start(shop)
        ready(shop)
        return shop


def ready(shop, timeout=60):
        """What lets a switch through, without a Verify of ours: the agent compares by itself once."""
        shop.wait_caught_up(timeout)
        shop.wait(lambda: shop.get('ReverseProven'), timeout, 'ReverseProven')
        shop.wait(lambda: shop.get('VerificationState') in ('equal', 'different'), timeout, 'a verification')


def refused(shop, method, *expected, opts=None):
        """The call, or the operation, ends with the named error; the phase stays. Returns the message."""
        phase = shop.get('Phase')
        with pytest.raises((BusError, OperationFailed)) as error:
                shop.operate(method, opts)
        assert error.value.short in expected, error.value
        assert shop.get('Phase') == phase
        return error.value.message


def refused_at_once(call, *expected):
        with pytest.raises(BusError) as error:
                call()
        assert error.value.short in expected, error.value
        return error.value.message


def link_failed(shop, name, timeout=30):
        """Waits until the link is failed with this error; returns the message."""
        shop.wait_property('ReplicationState', 'failed', timeout)
        error, message = shop.get('LastError')
        assert error.rsplit('.', 1)[-1] == name, (error, message)
        return message


def resume(shop, **opts):
        shop.call('Resume', '(a{sv}t)', opts, 0)


def pause(shop):
        shop.call('Pause', '(a{sv}t)', {}, 0)


def silently(server, *statements):
        """As root, past read_only, and not in the binary log."""
        server.script(['SET sql_log_bin=0', *statements])


def spoil(server):
        """One row changed, one gone, one too many, in three tables."""
        silently(server, 'UPDATE shop.stock SET quantity = -1 WHERE product_id = 7 AND warehouse = 1',
                 'DELETE FROM shop.payments WHERE id = 17',
                 'INSERT INTO shop.customers (id, email, name, country, created) '
                 f"VALUES ({MARK}, 'only@here.example', 'Only here', 'XX', NOW())")


class Signals:
        """Everything that the agent tells the bus, as text."""

        def __init__(self, agent):
                self.connection = agent.bus.connect()
                self.texts = []
                self.id = self.connection.signal_subscribe(
                        None, None, None, None, None, Gio.DBusSignalFlags.NONE, self._take)

        def _take(self, _connection, _sender, path, _interface, name, parameters):
                self.texts.append(f'{path} {name} {parameters.print_(False)}')

        def read(self):
                context = GLib.MainContext.default()
                deadline = time.monotonic() + 0.2
                while time.monotonic() < deadline:
                        if not context.iteration(False):
                                time.sleep(0.01)
                return self.texts

        def close(self):
                self.connection.signal_unsubscribe(self.id)
                self.connection.close_sync(None)


# ---- 1: verification

def test_differences_are_found_and_repaired(agent, link, pair):
        """In both directions: what was changed behind the agent's back gates the switch until it is repaired."""
        source, destination = pair
        shop = small(link, source, destination)
        assert shop.get('VerificationState') == 'equal'
        signals = Signals(agent)
        for method, reader in (('Switch', destination), ('Rollback', source)):
                spoil(reader)
                assert shop.get('ForeignWrites') == 0
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'different'
                summary = json.loads(shop.call('GetReport'))['verification']['summary']
                text = '\n'.join(summary['differences'])
                assert summary['different'] == 3, summary
                for word in ('stock', '7', 'payments', '17', 'customers', str(MARK)):
                        assert word in text, text
                refused(shop, method, 'VerificationFailed')
                shop.operate('Repair')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                assert equal.compare(source, destination, ['shop']) == []
                assert shop.get('ForeignWrites') == 0, 'the repair was taken for a foreign write'
                shown = '\n'.join([str(shop.properties()), str(agent.manager.call('ListMigrations')),
                                   *signals.read()])
                assert 'VerificationState' in shown and 'OperationFinished' in shown
                for secret in (str(MARK), 'only@here', 'INSERT'):
                        assert secret not in shown
                steps.change_side(shop, method)
        signals.close()
        equal.wait_equal(source, destination, ['shop'])


def test_advisory_verification_does_not_gate(link, pair):
        source, destination = pair
        shop = small(link, source, destination, verify='advisory')
        spoil(destination)
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'different'
        shop.operate('Switch')
        assert shop.get('Phase') == 'switched' and not steps.write_refused(destination)


def test_repair_under_load(link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        with Workload([source], writers=2, rate=150) as load:
                spoil(destination)
                shop.operate('Repair')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
                load.go_on()
        load.check(source)


# ---- 2: foreign writes

def table_numbers(server):
        """Of the tables in its newest log, in order."""
        log = server.admin('SHOW BINARY LOGS')[-1][0]
        with server.connect(use_unicode=False) as c, c.cursor() as cursor:
                cursor.execute(f"SHOW BINLOG EVENTS IN '{log}'")
                return [int(re.search(rb'table_id: (\d+)', row[5]).group(1)) for row in cursor.fetchall() if row[2] == b'Table_map']


def test_number_of_another_table(agent, link, pair):
        """A server that was restarted counts tables from the beginning: one has the number that was the canary's."""
        source, destination = pair
        shop = small(link, source, destination, exclude=['aside'])
        agent.kill9()
        canary = destination.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'canary%'")
        destination.script(['CREATE DATABASE aside', 'CREATE TABLE aside.t (a INT PRIMARY KEY AUTO_INCREMENT, b INT, c INT)'])
        destination.script(['FLUSH TABLES aside.t', 'SELECT COUNT(*) FROM aside.t'] * 150)
        destination.script([f'FLUSH TABLES polarshift.{canary}', f'UPDATE polarshift.{canary} SET value = value + 1'])
        number = table_numbers(destination)[-1]
        destination.restart()
        reached = 0
        while reached < number:
                destination.script(['FLUSH TABLES aside.t', 'INSERT INTO aside.t (b) VALUES (1)'])
                reached = table_numbers(destination)[-1]
        assert reached == number, 'another table took it'
        destination.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 3')
        agent.start()
        shop.wait_property('ForeignWrites', 1, 15)


def test_foreign_writes(agent, link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        for method, reader in (('Switch', destination), ('Rollback', source)):
                for n in (1, 2):
                        reader.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 3')
                shop.wait_property('ForeignWrites', 2, 10)
                shop.wait(lambda: '2 transactions of others' in agent.log(), 60, 'the log')
                refused(shop, method, 'ForeignWrites')
                for count in (0, 3):
                        refused_at_once(lambda: shop.call('AcknowledgeForeignWrites', '(ta{sv}t)', count, {}, 0),
                                        'InvalidOption')
                shop.call('AcknowledgeForeignWrites', '(ta{sv}t)', 1, {}, 0)
                shop.wait_property('ForeignWrites', 1, 5)
                refused(shop, method, 'ForeignWrites')
                shop.call('AcknowledgeForeignWrites', '(ta{sv}t)', 1, {}, 0)
                assert shop.get('ForeignWrites') == 0
                shop.wait(lambda: json.loads(shop.call('GetReport'))['foreign_writes_acknowledged'] == 2, 5, 'the record')
                shop.wait(lambda: json.loads(shop.call('GetReport'))['foreign_writes_acknowledged'] == 2, 5,
                          'the record')
                agent.kill9()                   # what was acknowledged stays so
                agent.start()
                shop.wait_caught_up()
                time.sleep(0.5)
                assert shop.get('ForeignWrites') == 0
                # Acknowledged is not repaired: what was written has to be compared first.
                refused(shop, method, 'VerificationFailed')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'different'
                shop.operate('Repair')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                steps.change_side(shop, method)
                assert shop.get('ForeignWrites') == 0
        equal.wait_equal(source, destination, ['shop'])


# ---- 3: servers restarted

def bring_down(server, how):
        if how == 'kill -9':
                server.kill9()
        else:
                server.stop()


def fenced_again(shop, side, server):
        """Nobody did anything by hand, and yet: closed, and shown as such."""
        began = time.monotonic()
        shop.wait(lambda: server.variable('read_only') == 1, 8, f'the fence of the {side}')
        shop.wait_property(f'{side.capitalize()}ReadWriteStatus', 'read-only', 8)
        print(f'{side}: fenced again {time.monotonic() - began:.1f} s after it was back')
        assert steps.write_refused(server)


@pytest.mark.parametrize('how', ['stop', 'kill -9'])
def test_destination_restarted(agent, link, pair, how):
        source, destination = pair
        schemas.create_shop(source, 6000)
        shop = link(source, destination, max_copy_rate=64 << 10)
        with Workload([source], writers=2, rate=200) as load:
                shop.operate('Start', flags=1)
                shop.wait(lambda: shop.get('RowsCopied') > 0, 20, 'the first rows')
                for phase in ('copying', 'synchronizing'):
                        if phase == 'synchronizing':
                                shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
                                shop.wait_phase('synchronizing')
                        assert shop.get('Phase') == phase
                        bring_down(destination, how)
                        shop.wait_property('DestinationReadWriteStatus', 'unreachable', 10)
                        shop.wait_property('ReplicationState', 'retrying', 10)
                        assert shop.get('SourceReadWriteStatus') == 'read-write'
                        assert shop.get('LastError')[0].endswith('DestinationUnreachable')
                        shop.wait_property('ReplicationDelay', -1)
                        destination.start()
                        fenced_again(shop, 'destination', destination)
                        shop.wait_property('ReplicationState', 'running', 15)
                        assert shop.get('LastError') == ('', '')
                ready(shop)
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
        assert shop.get('ForeignWrites') == 0
        load.check(destination)


@pytest.mark.parametrize('how', ['stop', 'kill -9'])
def test_source_restarted(agent, link, pair, how):
        """While it takes writes, and while it must not."""
        source, destination = pair
        schemas.create_shop(source, 3000)
        shop = link(source, destination)
        with Workload([source, destination], writers=2, rate=200) as load:
                steps.start(shop)
                bring_down(source, how)
                shop.wait_property('SourceReadWriteStatus', 'unreachable', 10)
                shop.wait_property('ReplicationState', 'retrying', 10)
                assert shop.get('LastError')[0].endswith('SourceUnreachable')
                assert shop.get('DestinationReadWriteStatus') == 'read-only'
                source.start()
                shop.wait_property('SourceReadWriteStatus', 'read-write', 10)
                shop.wait_property('ReplicationState', 'running', 20)
                steps.change_side(shop, 'Switch')
                bring_down(source, how)
                shop.wait_property('SourceReadWriteStatus', 'unreachable', 10)
                assert not steps.write_refused(destination)
                source.start()
                fenced_again(shop, 'source', source)
                ready(shop)
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
        assert not load.switches() or load.switches()[-1][1] == 1
        load.check(destination)


def test_read_only_in_the_configuration(link, server):
        """The fence that outlives a restart, as the check advises it: behind the switch it must keep nobody out; by hand it may."""
        source, destination = server(servers.MySQL56), server(servers.MariaDB, config=['read_only=1'])
        shop = small(link, source, destination)
        destination.restart()
        fenced_again(shop, 'destination', destination)
        ready(shop)
        steps.change_side(shop, 'Switch')
        for _ in range(3):                              # as soon as it takes writes it goes away again
                destination.restart()
                shop.wait(lambda: not steps.write_refused(destination), 15, 'the destination open again')
        shop.wait_property('DestinationReadWriteStatus', 'read-write', 5)
        assert steps.write_refused(source)
        shop.wait_property('ReplicationState', 'running', 15)
        destination.admin('SET GLOBAL read_only=1')
        shop.wait_property('DestinationReadWriteStatus', 'read-only', 5)
        time.sleep(3)
        assert destination.variable('read_only') == 1, 'somebody closed it on purpose'


def test_restart_while_paused(agent, link, pair):
        """A pause is no reason to leave the closed side open."""
        source, destination = pair
        shop = small(link, source, destination)
        pause(shop)
        destination.restart()
        fenced_again(shop, 'destination', destination)
        agent.restart()
        assert shop.get('Paused')
        shop.wait_property('DestinationReadWriteStatus', 'read-only', 5)
        shop.wait_property('SourceReadWriteStatus', 'read-write', 5)
        destination.restart()
        fenced_again(shop, 'destination', destination)
        assert shop.get('Paused') and shop.get('ReplicationState') == 'stopped'
        resume(shop)
        ready(shop)


# ---- 6: limits and endpoints while it runs

def test_limits_while_copying(link, pair):
        source, destination = pair
        source.script(['CREATE DATABASE big', 'CREATE TABLE big.t (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)',
                       "INSERT INTO big.t (body) VALUES (REPEAT('x', 100000))",
                       *['INSERT INTO big.t (body) SELECT CONCAT(body, id) FROM big.t'] * 8])     # 25.6 MB
        shop = link(source, destination, copy_threads=1, max_copy_rate=2 << 20)
        shop.operate('Start', flags=1)
        generation = shop.get('Generation')

        def rate(seconds):
                before, began = shop.get('BytesCopied'), time.monotonic()
                time.sleep(seconds)
                return (shop.get('BytesCopied') - before) / (time.monotonic() - began)

        shop.wait(lambda: shop.get('BytesCopied') > 0, 20, 'the first bytes')
        shop.call('SetLimits', '(a{sv}t)', {'max-source-load': 1}, 0)
        assert shop.get('Generation') > generation
        shop.wait(lambda: rate(2) == 0, 60, 'the copy to stand still')
        # What the copier did not read to its end is over on the server too: nothing waits for it
        with source.connect() as c, c.cursor() as cursor:
                cursor.execute('SET lock_wait_timeout = 30')
                cursor.execute("LOCK TABLES big.t WRITE")
        stopped = rate(2.5)
        shop.call('SetLimits', '(a{sv}t)', {'max-source-load': 0}, 0)
        shop.wait(lambda: rate(1) > 0, 60, 'the copy to go on')
        slow = rate(4)
        began = time.monotonic()
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.wait_phase('synchronizing')
        took = time.monotonic() - began
        print(f'{stopped:.0f} B/s above the load, {slow:.0f} B/s with the limit, the rest in {took:.1f} s without')
        assert stopped == 0 and slow < 4 << 20
        for limits in ({'max-copy-rate': -1}, {'max-source-load': 'many'}, {'fence': 'hook'}, {}, {'max-delay': 100.0}):
                refused_at_once(lambda: shop.call('SetLimits', '(a{sv}t)', limits, 0), 'InvalidOption')
        ready(shop)
        shop.call('SetLimits', '(a{sv}t)', {'max-delay': 0.0001}, 0)
        refused(shop, 'Switch', 'DelayTooHigh')
        equal.wait_equal(source, destination, ['big'])


def test_set_endpoint(agent, link, pair, server):
        source, destination = pair
        stranger = server(servers.MariaDB)
        shop = small(link, source, destination)
        by_socket = {s: f'mysql://agent@localhost/?socket={s.socket}' for s in pair}

        def move(side, uri):
                shop.call('SetEndpoint', '(ssa{sv}t)', side, uri, {}, 0)

        refused_at_once(lambda: move('source', source.uri('agent')), 'InvalidPhase')
        pause(shop)
        for side, uri in (('middle', source.uri('agent')), ('source', 'mysql://'),
                          ('source', 'mysql://agent:hunter2@127.0.0.1/?ssl-mode=disabled')):
                refused_at_once(lambda: move(side, uri), 'InvalidOption')
        generation = shop.get('Generation')
        move('source', by_socket[source])
        move('destination', by_socket[destination])
        assert shop.get('Generation') == generation + 2
        assert shop.get('Source') == source.socket and shop.get('Destination') == destination.socket
        resume(shop)
        ready(shop)
        shop.wait_property('DestinationReadWriteStatus', 'read-only', 5)
        shop.wait(lambda: {host for (host,) in source.admin("SELECT host FROM information_schema.processlist WHERE user='agent'")} == {'localhost'},
                  30, 'every session by the socket')
        source.admin('UPDATE shop.stock SET quantity = quantity + 1')
        equal.wait_equal(source, destination, ['shop'])

        pause(shop)
        move('destination', stranger.uri('agent'))
        time.sleep(1.5)
        resume(shop)
        message = link_failed(shop, 'StaleState')
        assert str(stranger.port) in message
        assert shop.get('DestinationReadWriteStatus') == 'unknown'
        assert stranger.variable('read_only') == 0
        assert not stranger.admin("SHOW DATABASES LIKE 'polarshift'")
        refused(shop, 'Switch', 'DelayUnknown')
        pause(shop)
        move('destination', destination.uri('agent'))
        resume(shop)
        ready(shop)
        steps.change_side(shop, 'Switch')
        equal.wait_equal(source, destination, ['shop'])


# ---- 4: the options of a switch

def test_confirm_within(link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        with Workload([source, destination], writers=2, rate=100) as load:
                shop.operate('Switch', {'confirm-within': 8.0})
                assert shop.get('Phase') == 'switched' and shop.get('ConfirmBy') > 0
                shop.wait_property('Phase', 'synchronizing', 15)
                shop.wait(lambda: shop.get('LastOperation')[1] == 'rollback', 15, 'the end of the rollback')
                assert shop.get('LastOperation')[2] == 'done' and shop.get('ConfirmBy') == 0
                assert steps.write_refused(destination) and not steps.write_refused(source)
                refused_at_once(lambda: shop.call('Confirm', '(a{sv}t)', {}, 0), 'InvalidPhase')
                ready(shop)
                shop.operate('Switch', {'confirm-within': 12.0})
                shop.call('Confirm', '(a{sv}t)', {}, 0)
                assert shop.get('ConfirmBy') == 0
                time.sleep(14)
                assert shop.get('Phase') == 'switched' and shop.get('Operation') == ''
                refused_at_once(lambda: shop.call('Confirm', '(a{sv}t)', {}, 0), 'InvalidPhase')
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
        load.check(destination)


def test_switch_options(held, pair):
        """A stale generation, a delay above the one given, a deadline that is too short."""
        agent, points = held
        source, destination = pair
        shop = small(functools.partial(steps.create, agent), source, destination)
        refused_at_once(lambda: shop.begin('Switch', {'expected-generation': shop.get('Generation') - 1}),
                        'StaleGeneration')
        for opts in ({'deadline': 0.001}, {'max-delay': 61.0}, {'confirm-within': -1.0}, {'kill-sessions': 'yes'}):
                refused_at_once(lambda: shop.begin('Switch', opts), 'InvalidOption')
        points.hold('switch.fence.before')
        operation = steps.begin(shop, 'Switch', {'deadline': 0.1})
        points.wait('switch.fence.before')
        time.sleep(0.1)
        points.release('switch.fence.before')
        result, name, _ = shop.finish(operation, check=False)
        assert (result, name) == ('undone', 'DeadlineExceeded')
        assert not steps.write_refused(source)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM shop.stock WHERE product_id = 1 FOR UPDATE')
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
                shop.wait(lambda: shop.get('ReplicationDelay') > 1.5, 15, 'a delay')
                refused_at_once(lambda: shop.begin('Switch', {'max-delay': 1.0}), 'DelayTooHigh')
        shop.wait_caught_up()
        shop.operate('Switch', {'expected-generation': shop.get('Generation'), 'max-delay': 30.0, 'deadline': 20.0})
        assert shop.get('Phase') == 'switched'
        equal.wait_equal(source, destination, ['shop.stock'])


def test_abort(held, pair):
        """Abort of a switch whose fence is held up, and of a comparison."""
        agent, points = held
        source, destination = pair
        schemas.create_shop(source, 300)
        source.admin('CREATE TABLE shop.locked (id INT PRIMARY KEY)')
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        ready(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as holder, holder.cursor() as cursor:
                points.hold('switch.fence.before')
                operation = steps.begin(shop, 'Switch', {'deadline': 60.0})
                points.wait('switch.fence.before')
                cursor.execute('LOCK TABLES locked WRITE')      # behind the guard, which would refuse it
                points.release('switch.fence.before')
                shop.wait_property('OperationStep', 'fence', 10)
                refused_at_once(lambda: shop.begin('Verify'), 'OperationInProgress')
                refused_at_once(lambda: pause(shop), 'OperationInProgress')
                refused_at_once(lambda: shop.call('Abort', '(ta{sv}t)', operation + 1, {}, 0), 'InvalidPhase')
                began = time.monotonic()
                shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                result, _, _ = shop.finish(operation, check=False)
                took = time.monotonic() - began
                print(f'{result} after {took:.1f} s')
                assert result == 'canceled'
                assert not steps.write_refused(source) and shop.get('Phase') == 'synchronizing'
        shop.wait_caught_up()
        # A comparison that cannot get on: the destination does not apply what it waits for
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM shop.stock WHERE product_id = 1 FOR UPDATE')
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
                operation = shop.begin('Verify')
                time.sleep(0.5)
                shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                began = time.monotonic()
                result, _, _ = shop.finish(operation, check=False)
                assert result == 'canceled' and time.monotonic() - began < 30
        shop.wait_caught_up()
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'equal'
        steps.change_side(shop, 'Switch')


# ---- 5: sessions that are in the way

@pytest.mark.parametrize('kill', [False, True])
def test_sessions_at_the_switch(link, pair, kill):
        source, destination = pair
        shop = small(link, source, destination)
        idle = source.connect()                         # SUPER: read_only does not stop it, so that it is ended in any case (test_keep_out)
        idle.ping(reconnect=False)
        plain = source.connect('app', servers.APP_PASSWORD, 'shop')
        plain.ping(reconnect=False)
        holder = source.connect('app', servers.APP_PASSWORD, 'shop', autocommit=False)
        with holder.cursor() as cursor:
                cursor.execute('UPDATE stock SET quantity = 12345 WHERE product_id = 1 AND warehouse = 0')
        shop.operate('Switch', {'kill-sessions': kill})
        with pytest.raises(pymysql.err.MySQLError):     # it was not acknowledged, and never will be
                holder.commit()
        with pytest.raises(pymysql.err.MySQLError):
                idle.ping(reconnect=False)
        if kill:                                        # as those are that are only still connected
                with pytest.raises(pymysql.err.MySQLError):
                        plain.ping(reconnect=False)
        else:
                plain.ping(reconnect=False)
                source.admin('UPDATE shop.stock SET quantity = 1 WHERE product_id = 2 AND warehouse = 0')
                shop.wait_property('ForeignWrites', 1, 10)
        for server in pair:
                assert server.scalar('SELECT quantity FROM shop.stock WHERE product_id = 1 AND warehouse = 0') != 12345
        for connection in (idle, plain, holder):
                try:
                        connection.close()
                except pymysql.err.MySQLError:
                        pass


# ---- 7: the end, with a side that is gone

@pytest.mark.parametrize('flag', [0, 2])
def test_complete_without_the_source(link, pair, flag):
        source, destination = pair
        shop = small(link, source, destination)
        steps.change_side(shop, 'Switch')
        source.kill9()
        shop.wait_property('SourceReadWriteStatus', 'unreachable', 10)
        refused(shop, 'Complete', 'SourceUnreachable')
        assert not steps.write_refused(destination)
        if flag == 0:                                   # it comes back, and everything goes on
                source.start()
                ready(shop)
                shop.operate('Complete')
                assert steps.write_refused(source)
        else:
                shop.operate('Complete', flags=2)
                tasks = json.loads(shop.call('GetReport'))['to_do']
                assert any(t['side'] == 'source' and 'DROP TABLE' in (t['sql'] or '') for t in tasks), tasks
        assert shop.get('Phase') == 'completed'
        assert not destination.admin("SHOW DATABASES LIKE 'polarshift'")
        assert not steps.write_refused(destination)


@pytest.mark.parametrize('flag', [0, 2])
def test_cancel_without_the_destination(link, pair, flag):
        source, destination = pair
        shop = small(link, source, destination)
        destination.kill9()
        for _ in range(2):
                refused(shop, 'Cancel', 'DestinationUnreachable')
        if flag == 0:
                destination.start()
                ready(shop)                             # the refused ones have taken nothing down
                steps.change_side(shop, 'Switch')
                steps.change_side(shop, 'Rollback')
                shop.operate('Cancel')
                assert not steps.write_refused(destination)
                assert not destination.admin("SHOW DATABASES LIKE 'polarshift'")
        else:
                shop.operate('Cancel', flags=2)
                tasks = json.loads(shop.call('GetReport'))['to_do']
                sql = [t['sql'] for t in tasks if t['side'] == 'destination' and 'DROP TABLE' in (t['sql'] or '')]
                assert len(sql) == 1, tasks
                destination.start()
                for statement in sql[0].rstrip(';').split(';'):
                        destination.admin(statement)    # what the report says can be run as it stands
                assert destination.scalar('SELECT COUNT(*) FROM polarshift.owner') == 0
        assert shop.get('Phase') == 'canceled'
        assert not source.admin("SHOW DATABASES LIKE 'polarshift'")
        assert not steps.write_refused(source)


# ---- 8: statements on the source

def test_ddl_on_the_source(agent, link, pair):
        source, destination = pair
        source.admin('CREATE DATABASE aside')
        shop = small(link, source, destination, exclude=['aside'])
        source.script(['CREATE TABLE aside.t (a INT PRIMARY KEY)', 'INSERT INTO aside.t VALUES (1)',
                       'ALTER TABLE aside.t ADD COLUMN b INT', 'DROP TABLE aside.t'])
        source.script(["GRANT SELECT ON shop.* TO 'app'@'%'", 'FLUSH PRIVILEGES'])
        source.admin('UPDATE shop.stock SET quantity = quantity + 1')
        equal.wait_equal(source, destination, ['shop'])
        assert shop.get('ReplicationState') == 'running' and not destination.admin("SHOW DATABASES LIKE 'aside'")
        shop.wait(lambda: 'GRANT' in shop.call('GetHistory', '(t)', 0), 5, 'a note about GRANT')
        # A table that comes from where nothing is carried: its rows are not known.
        moved = "(id INT PRIMARY KEY, secret_comment VARCHAR(20) DEFAULT 'hush') CHARSET=utf8mb4"
        source.script([f'CREATE TABLE aside.moved {moved}', 'RENAME TABLE aside.moved TO shop.moved',
                       'INSERT INTO shop.moved (id) VALUES (1)', 'UPDATE shop.stock SET quantity = quantity + 1'])
        message = link_failed(shop, 'UnsupportedObject')
        assert 'RENAME TABLE' in message and 'done-by-hand' in message, message
        assert 'hush' not in message
        refused(shop, 'Switch', 'DelayUnknown')
        resume(shop)                                    # not done, not passed over: stops there again
        shop.wait_property('ReplicationState', 'failed', 20)
        destination.admin(f'CREATE TABLE shop.moved {moved}')
        shop.wait_property('ForeignWrites', 1, 10)
        resume(shop, ddl='done-by-hand')
        steps.make_ready(shop)
        assert shop.get('ForeignWrites') == 0 and shop.get('VerificationState') == 'equal'
        equal.wait_equal(source, destination, ['shop'])
        source.script(['CREATE TABLE aside.other (id INT PRIMARY KEY)', 'RENAME TABLE aside.other TO shop.other',
                       'INSERT INTO shop.other VALUES (1)'])
        link_failed(shop, 'UnsupportedObject')
        resume(shop, ddl='skip')
        ready(shop)
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'different', 'a table that was passed over is missing'
        source.script(['DROP TABLE shop.other', 'UPDATE shop.payments SET amount = amount + 1'])
        shop.wait_caught_up()
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'equal'
        agent.restart()                                 # what was passed over stays so
        shop.wait_property('ReplicationState', 'running', 10)
        steps.change_side(shop, 'Switch')


# ---- 9: credentials, and two migrations at once

@pytest.mark.parametrize('side', ['source', 'destination'])
def test_password_changed(agent, link, pair, side):
        source, destination = pair
        shop = small(link, source, destination)
        server = pair[('source', 'destination').index(side)]
        silently(server, "SET PASSWORD FOR 'agent'@'%' = PASSWORD('another')")
        for (thread,) in server.admin("SELECT id FROM information_schema.processlist WHERE user = 'agent'"):
                try:
                        server.admin(f'KILL {thread}')
                except pymysql.err.MySQLError:
                        pass
        message = link_failed(shop, 'AuthenticationFailed')
        assert side in message and servers.AGENT_PASSWORD not in message
        agent.set_credential(f'shop.{side}', 'another')
        resume(shop)
        ready(shop)
        source.admin('UPDATE shop.stock SET quantity = quantity + 1')
        equal.wait_equal(source, destination, ['shop'])
        steps.change_side(shop, 'Switch')


def test_two_migrations_of_one_source(agent, link, pair, server):
        """fence=global closes the whole server: another migration of it would be closed with it."""
        source, destination = pair
        third = server(servers.MariaDB)
        first = small(link, source, destination)
        second = link(source, third, name='second')
        message = refused(second, 'Start', 'CheckFailed', 'AlreadyExists', 'NotSupported')
        print(message)
        assert 'migration' in message, message
        assert third.variable('read_only') == 0 and not third.admin("SHOW DATABASES LIKE 'shop'")
        assert first.get('ReplicationState') == 'running'
        first.operate('Cancel')
        second.operate('Start', flags=1)
        second.wait_phase('synchronizing')
        equal.wait_equal(source, third, ['shop'])


# ---- 11: AUTO_INCREMENT

def test_numbers_are_not_handed_out_again(link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        for method, open_side, other in (('Switch', source, destination), ('Rollback', destination, source)):
                with open_side.connect(db='shop') as c, c.cursor() as cursor:
                        for _ in range(5):
                                cursor.execute("INSERT INTO ledger_log (writer, seq) VALUES (1, 1)")
                        highest = cursor.lastrowid
                        cursor.execute('DELETE FROM ledger_log WHERE id > %s', (highest - 3,))
                steps.change_side(shop, method)
                with other.connect(db='shop') as c, c.cursor() as cursor:
                        cursor.execute("INSERT INTO ledger_log (writer, seq) VALUES (1, 1)")
                        print(method, highest, cursor.lastrowid)
                        assert cursor.lastrowid > highest
        equal.wait_equal(source, destination, ['shop'])


# ---- 12: sessions that do not log rows, where it cannot be told of which tables

def test_sessions_that_log_otherwise(agent, link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        source.script(["SET SESSION binlog_format = 'STATEMENT'",
                       'UPDATE shop.stock AS a JOIN shop.stock AS b USING (product_id, warehouse) SET a.quantity = b.quantity + 7 '
                       'WHERE a.product_id = 5'])
        message = link_failed(shop, 'UnsupportedObject')
        assert 'binlog_format' in message, message
        refused(shop, 'Switch', 'DelayUnknown')
        agent.restart()
        link_failed(shop, 'UnsupportedObject')
        resume(shop)
        time.sleep(1)
        link_failed(shop, 'UnsupportedObject')
        assert steps.write_refused(destination) and not steps.write_refused(source)
