# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations around the life cycle, each met by what may come in its way on real servers."""

import json
import os
import shutil
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

def test_foreign_writes(agent, link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        for method, reader in (('Switch', destination), ('Rollback', source)):
                for n in (1, 2):
                        reader.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 3')
                shop.wait_property('ForeignWrites', 2, 10)
                assert '2 transactions of others' in agent.log()
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
