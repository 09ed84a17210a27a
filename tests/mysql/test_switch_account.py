# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a switch says of itself (the dry run, the certificate), its final check of rows, and what ends a switch whose old side never comes back."""

import contextlib
import json
import os
import pathlib
import selectors
import shutil
import socket
import time

import pymysql
import pytest

import equal
import faults
import proxy
import schemas
import servers
import steps
from agent import Agent, BusError


def report(shop):
        return json.loads(shop.call('GetReport'))


def test_account(agent, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('CREATE TRIGGER shop.t BEFORE INSERT ON shop.products FOR EACH ROW SET NEW.title = CONCAT(NEW.title, 1)')
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('UPDATE stock SET quantity = quantity + 1 WHERE product_id = 1')
                shop.operate('Switch', flags=1)
                plan = json.loads(shop.call('GetPlan'))
                print(plan)
                assert shop.get('Phase') == 'synchronizing' and source.variable('read_only') == 0
                assert plan['allowed'] and plan['sessions-that-would-be-ended'] == 1 and plan['triggers-to-make'] == 1
                assert [(s['id'], s['user'], s['database'], s['why']) for s in plan['sessions']] == [(c.thread_id(), 'app', 'shop', 'transaction')]
                assert 0 < plan['estimated-interruption'] == pytest.approx(sum(plan['estimate'].values()))
                cursor.execute('ROLLBACK')

                # The session stays connected, and is ended when that is asked for.
                assert report(shop)['handover'] is None
                shop.operate('Switch')
                told = report(shop)
                assert [(s['id'], s['user'], s['database']) for s in told['sessions_left']] == [(c.thread_id(), 'app', 'shop')]
                c.ping(reconnect=False)
                handover = told['handover']
                assert handover['old']['side'] == 'source' and handover['new']['side'] == 'destination'
                assert (handover['new']['file'], handover['new']['offset']) == (told['link']['leg_start']['file'], told['link']['leg_start']['offset'])
        # What is written now is behind `new`, and nothing of it was before.
        destination.admin("INSERT INTO shop.ledger VALUES (99, 1, 'x')")
        events = destination.admin(f"SHOW BINLOG EVENTS IN '{handover['new']['file']}' FROM {handover['new']['offset']}")
        assert any('ledger' in str(e[5]) for e in events)
        steps.make_ready(shop)
        with destination.connect('app', servers.APP_PASSWORD, 'shop') as c:
                shop.operate('Rollback', {'kill-sessions': True})
                assert [s['id'] for s in report(shop)['sessions_left']] == [c.thread_id()]
                with pytest.raises(pymysql.err.MySQLError):
                        c.ping(reconnect=False)
        assert report(shop)['handover']['new']['side'] == 'source'
        equal.wait_equal(source, destination, ['shop'])


def tamper(server, sql):
        """A row that is lost in a way that leaves nothing in any log."""
        server.script(['SET SESSION sql_log_bin = 0', sql])


def test_final_check(agent, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        source.script(['CREATE TABLE shop.nokey (a INT, b VARCHAR(20))', "INSERT INTO shop.nokey VALUES (1, 'x'), (1, 'x'), (2, 'y'), (2, 'y')",
                       'CREATE TABLE shop.words (w VARCHAR(20) CHARACTER SET utf8 COLLATE utf8_general_ci PRIMARY KEY, n INT)',
                       "INSERT INTO shop.words VALUES ('Apfel', 1), ('Birne', 2), ('Čaj', 3)"])
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        source.script(['UPDATE shop.customers SET name = CONCAT(name, 1) WHERE id <= 50', 'DELETE FROM shop.customers WHERE id = 40',
                       "UPDATE shop.words SET w = 'apfel ', n = 7 WHERE w = 'Apfel'", "DELETE FROM shop.words WHERE w = 'birne'",
                       "INSERT INTO shop.nokey VALUES (1, 'x')"])

        # What was changed since it was found equal is compared, also a row that is gone, or spelled otherwise, or of a table without a key.
        for sql, back in (
                ("UPDATE shop.customers SET country = 'QQ' WHERE id = 30", None),
                ('DELETE FROM shop.customers WHERE id = 31', None),
                ("UPDATE shop.words SET n = n + 100 WHERE w = 'apfel'", "UPDATE shop.words SET n = n - 100 WHERE w = 'apfel'"),
                ("UPDATE shop.nokey SET b = 'z' WHERE a = 2", None)):
                shop.wait_caught_up()
                equal.wait_equal(source, destination, ['shop'])
                tamper(destination, sql)
                result, name, message = shop.operate('Switch', check=False)
                print(f'{sql}: {result} {name} {message}')
                assert (result, name) == ('undone', 'VerificationFailed') and not steps.write_refused(source)
                assert shop.get('VerificationState') == 'different'
                if back:                        # mended by hand
                        tamper(destination, back)
                else:
                        shop.operate('Repair')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                source.script(['UPDATE shop.customers SET name = CONCAT(name, 1) WHERE id <= 50', "UPDATE shop.words SET n = n + 1",
                               "INSERT INTO shop.nokey VALUES (1, 'x')"])
        shop.wait_caught_up()
        shop.operate('Switch')
        said = report(shop)['final_check']
        print(said)
        assert said['keys'] >= 49 and said['not_compared'] == [] and said['whole_tables'] == 1

        # A row that was changed and compared before the agent was stopped is not compared again; one that was only changed is.
        steps.make_ready(shop)
        destination.admin("UPDATE shop.customers SET name = CONCAT(name, 2) WHERE id <= 70")
        shop.wait_caught_up()
        agent.restart()
        destination.admin("UPDATE shop.orders SET status = 'void' WHERE id <= 7")
        steps.make_ready(shop)
        tamper(source, "UPDATE shop.customers SET country = 'QQ' WHERE id = 60")
        result, name, message = shop.operate('Rollback', check=False)
        print(result, name, message)
        assert (result, name) == ('undone', 'VerificationFailed')
        shop.operate('Repair')
        shop.operate('Verify')
        destination.admin("UPDATE shop.customers SET name = CONCAT(name, 3) WHERE id <= 70")
        shop.wait_caught_up()
        agent.stop()
        kept = pathlib.Path(agent.state, 'migrations', 'shop', 'changed-rows').read_bytes()
        agent.start()
        steps.make_ready(shop)
        shop.operate('Rollback')
        said = report(shop)['final_check']
        print(said)
        assert 69 <= said['keys'] < 1000 and said['whole_tables'] == 0 and said['not_compared'] == []
        equal.wait_equal(source, destination, ['shop'])
        steps.make_ready(shop)

        # An agent that was killed does not know what changed, nor does one that finds what an earlier one knew: small tables are compared
        # whole, while people write.
        source.admin("UPDATE shop.customers SET name = CONCAT(name, 4) WHERE id <= 70")
        shop.wait_caught_up()
        agent.kill9()
        agent.start()
        shop.wait_caught_up()
        tamper(destination, "UPDATE shop.orders SET status = 5 - status WHERE id = 700")
        steps.make_ready(shop)
        result, name, message = shop.operate('Switch', check=False)
        print(result, name, message)
        assert (result, name) == ('failed', 'VerificationFailed')       # nobody had to wait for it
        shop.operate('Repair')
        shop.operate('Verify')
        agent.kill9()
        pathlib.Path(agent.state, 'migrations', 'shop', 'changed-rows').write_bytes(kept)
        agent.start()
        steps.make_ready(shop)
        shop.operate('Switch')
        said = report(shop)['final_check']
        print(said)
        assert said['whole_tables'] >= 9 and said['not_compared'] == []
        equal.wait_equal(source, destination, ['shop'])


def test_old_side_is_gone_for_good(pair):
        source, destination = pair
        schemas.create_shop(source, 300)
        folder = servers.scratch_folder('pf-')
        points = faults.Failpoints(folder)
        with Agent(environment={'POLARSHIFT_FAILPOINTS': folder}, program='tests/faults/polarshiftd-faults') as agent:
                shop = steps.create(agent, source, destination)
                steps.start(shop)
                steps.make_ready(shop)
                points.hold('switch.release.before')
                operation = steps.begin(shop, 'Switch')
                points.wait('switch.release.before')
                source.kill9()
                points.release('switch.release.before')
                shop.wait(lambda: shop.get('LastError')[0].endswith('SourceUnreachable'), 60, 'the trouble')
                assert shop.get('Phase') == 'switched' and not steps.write_refused(destination)
                for method, flags in (('Complete', 0), ('Cancel', 2)):
                        with pytest.raises(BusError) as e:
                                shop.begin(method, flags=flags)
                        assert e.value.short in ('OperationInProgress', 'InvalidPhase')
                points.hold('complete.destination.before')
                ending = shop.begin('Complete', flags=2)
                assert ending > operation
                points.wait('complete.destination.before')
                agent.kill9()                   # the journal still has the switch, too
                points.release('complete.destination.before')
                agent.start()
                assert shop.finish(ending)[0] == 'done'
                assert shop.get('Phase') == 'completed' and not steps.write_refused(destination)
                assert any(t['sql'] and 'DROP TABLE' in t['sql'] and t['side'] == 'source' for t in report(shop)['to_do'])
                events = json.loads(shop.call('GetHistory', '(t)', 0))
                assert any(e['event'] == 'operation-finished' and '(switch) ended: done' in e['message'] for e in events)
        shutil.rmtree(folder)


def test_lock_of_an_agent_whose_host_died(agent, pair):
        """Its connections stay open, with nobody at their end: the server gives the lock away all the same."""
        source, destination = pair
        schemas.create_shop(source, 300)
        with proxy.Proxy(source.port) as to_source, proxy.Proxy(destination.port) as to_destination:
                for side in ('source', 'destination'):
                        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD)
                shop = agent.create('shop', *(f'mysql://agent@127.0.0.1:{p.port}/?ssl-mode=disabled' for p in (to_source, to_destination)), unfit='skip')
                steps.start(shop)
                for cable in (to_source, to_destination):
                        cable.abandon()
                agent.kill9()
                began = time.monotonic()
                agent.start()
                shop.wait(lambda: shop.get('ReplicationState') == 'running', 120, 'replication')
                print(f'replication again after {time.monotonic() - began:.1f} s')
                steps.make_ready(shop)
                steps.change_side(shop, 'Switch')


def test_fence_that_outlives_a_restart(agent, server):
        """MySQL 8 and later keep it themselves; with the migration's end it is gone."""
        missing = servers.MySQL97.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(servers.MySQL97)
        schemas.create_shop(source, 300)
        shop = steps.create(agent, source, destination)
        row = [r for r in shop.checks() if r[0] == 'fence-durable']
        assert len(row) == 1 and row[0][1] == 'note' and 'the source does not' in row[0][2], row
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        # Whoever has SYSTEM_USER is ended by nobody who has not: such a transaction is in the way.
        steps.make_ready(shop)
        with destination.connect() as administrator, administrator.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 2')
                result, name, message = shop.operate('Rollback', check=False)
                assert (result, name) == ('undone', 'InsufficientPrivilege') and f'session {administrator.thread_id()} ' in message and 'SYSTEM_USER' in message
                assert not steps.write_refused(destination) and steps.write_refused(source)
        steps.change_side(shop, 'Rollback')
        agent.kill9()                           # nobody is there who could close it
        for end in (destination.stop, destination.kill9):
                end()
                destination.start()
                assert steps.write_refused(destination)
        agent.start()
        steps.change_side(shop, 'Switch')
        destination.restart()
        assert not steps.write_refused(destination) # it takes writes, and no agent had to open it
        shop.wait_caught_up(60)
        steps.change_side(shop, 'Rollback')
        shop.operate('Cancel')
        destination.restart()
        assert not steps.write_refused(destination)


class Slow(proxy.Proxy):
        """Time passes, once, before the question how long the server has been running."""
        held = True

        def slow_down(self):
                self.held = False

        def _move(self, client, s, events):
                if not self.held and s is client and events & selectors.EVENT_READ:
                        with contextlib.suppress(OSError):
                                data = s.recv(proxy.CHUNK, socket.MSG_PEEK)
                                if b"'UPTIME'" in data:
                                        time.sleep(4)
                                        self.held = True
                super()._move(client, s, events)


def test_slow_answer_is_no_restart(agent, pair):
        """A side that was closed by hand, without a restart, stays so, however slow it was when it was asked since when it runs."""
        source, destination = pair
        schemas.create_shop(source, 300)
        with Slow(destination.port) as cable:
                for side in ('source', 'destination'):
                        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD)
                shop = agent.create('shop', source.uri('agent'), f'mysql://agent@127.0.0.1:{cable.port}/?ssl-mode=disabled', unfit='skip')
                steps.start(shop)
                steps.change_side(shop, 'Switch')
                agent.stop()
                cable.slow_down()
                agent.start()
                shop.wait(lambda: cable.held, 60, 'the question')
                shop.wait_caught_up()
                destination.admin('SET GLOBAL read_only = 1')
                agent.restart()
                shop.wait_property('DestinationReadWriteStatus', 'read-only')
                time.sleep(2)
                assert steps.write_refused(destination)
