# SPDX-License-Identifier: LGPL-2.1-or-later
"""A state that is older than what the servers say: from a backup, or that of an agent which stood still while another one went on."""

import contextlib
import os
import shutil
import signal
import time

import equal
import faults
import schemas
import servers
import steps
from agent import Agent, BusError
from test_operations import link_failed, ready, refused, resume, small
from workload import Workload


def test_stale_state(agent, link, pair):
        source, destination = pair
        shop = small(link, source, destination)
        folder = os.path.join(agent.state, 'migrations', 'shop')
        agent.stop()
        shutil.copytree(folder, folder + '.copy')
        shutil.move(folder + '.copy', os.path.join(agent.folder, 'copy'))
        agent.start()
        ready(shop)
        steps.change_side(shop, 'Switch')
        agent.stop()
        shutil.rmtree(folder)
        shutil.move(os.path.join(agent.folder, 'copy'), folder)
        before = [s.admin('SELECT * FROM polarshift.owner') for s in pair]
        agent.start()
        assert shop.get('Phase') == 'synchronizing'     # so it says
        link_failed(shop, 'StaleState')
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:              # nothing is touched, again and again
                assert destination.variable('read_only') == 0 and source.variable('read_only') == 1
                time.sleep(0.2)
        refused(shop, 'Switch', 'StaleState', 'DelayUnknown')
        refused(shop, 'Cancel', 'StaleState')
        resume(shop)
        link_failed(shop, 'StaleState')
        assert before == [s.admin('SELECT * FROM polarshift.owner') for s in pair]
        assert destination.variable('read_only') == 0 and source.variable('read_only') == 1


def end_control(server, task):
        """The session that holds the lock: what the owner row says is read again by the next one."""
        holder = server.scalar(f"SELECT IS_USED_LOCK('polarshift.{task}')")
        if holder:
                server.admin(f'KILL {holder}')


def take_over(agent, second, pair, task):
        """The second has the state that the first one has, which stands still. Its sessions live, but for those that hold the lock."""
        shutil.copytree(agent.state, second.state, dirs_exist_ok=True)
        for server in pair:                     # or its host is silent for 20 s
                end_control(server, task)
        second.start()
        return second.migration('shop')


def wakes_up(agent, second, points, point, pair):
        """The second agent is done and stopped; the first one goes on where it stood still. What it may not do it says, and does not."""
        second.stop()
        closed = [server.variable('read_only') for server in pair]
        points.release(point)
        os.kill(agent.pid, signal.SIGCONT)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
                assert [server.variable('read_only') for server in pair] == closed
                time.sleep(0.1)
        shop = agent.migration('shop')
        shop.wait(lambda: shop.get('LastError')[0].endswith('StaleState'), 30, 'the refusal')


def stands_still(held, pair, point):
        """(the migration, its task) of an agent that was stopped at a point of a Switch."""
        agent, points = held
        schemas.create_shop(pair[0], 300)
        shop = steps.create(agent, *pair)
        steps.start(shop)
        steps.make_ready(shop)
        points.hold(point)
        steps.begin(shop, 'Switch', {'deadline': 300.0})
        points.wait(point)
        os.kill(agent.pid, signal.SIGSTOP)
        return shop, task_of(pair[1])


@contextlib.contextmanager
def gone_on_with(held, pair, point):
        """The migration of a second agent, which has undone the switch that the first one stands still in; behind that the first one goes on."""
        agent, points = held
        _, task = stands_still(held, pair, point)
        with Agent(start=False) as second:
                shop = take_over(agent, second, pair, task)
                shop.wait(lambda: shop.get('LastOperation')[2] == 'undone', 60, 'the undo')
                yield shop
                wakes_up(agent, second, points, point, pair)


def test_stopped_before_the_epoch_goes_on(held, pair):
        """Both raise the epoch from what it was: the same number does not make them the same agent."""
        with gone_on_with(held, pair, 'switch.final-check.after') as shop:
                steps.change_side(shop, 'Switch')
        assert pair[0].variable('read_only') == 1 and pair[1].variable('read_only') == 0


def test_stopped_at_the_commit_point_goes_on(held, pair):
        """The second agent has found no owner row, and undone the switch: the first one may not write it any more."""
        with gone_on_with(held, pair, 'switch.owner.before'):
                pass
        assert pair[0].variable('read_only') == 0 and pair[1].variable('read_only') == 1


def test_awake_in_the_middle_of_anothers_switch(held, pair):
        """The second agent has lost its lock of the side that it fenced, and not yet written the owner row: the first one may not undo its own switch there."""
        agent, points = held
        source, destination = pair
        _, task = stands_still(held, pair, 'switch.final-check.after')
        folder = servers.scratch_folder('pf-')
        others = faults.Failpoints(folder)
        with Agent(start=False, environment={'POLARSHIFT_FAILPOINTS': folder}, program='tests/faults/polarshiftd-faults') as second:
                shop = take_over(agent, second, pair, task)
                shop.wait(lambda: shop.get('LastOperation')[2] == 'undone', 60, 'the undo')
                steps.make_ready(shop)
                others.hold('switch.owner.before')
                operation = steps.begin(shop, 'Switch', {'deadline': 300.0})
                others.wait('switch.owner.before')
                end_control(source, task)
                points.release('switch.final-check.after')
                os.kill(agent.pid, signal.SIGCONT)
                first = agent.migration('shop')
                first.wait(lambda: first.get('LastError')[0].endswith('StaleState'), 60, 'the refusal')
                assert source.variable('read_only') == 1
                others.release('switch.owner.before')
                shop.finish(operation)
                deadline = time.monotonic() + 3
                while time.monotonic() < deadline:
                        assert source.variable('read_only') == 1 and destination.variable('read_only') == 0
                        time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)


def name_on(server):
        return server.scalar('SELECT agent FROM polarshift.owner')


def is_stale(shop):
        """The link says so, or an operation: whoever comes to look first."""
        if shop.get('LastError')[0].endswith('StaleState'):
                return True
        try:
                return shop.finish(shop.begin('Rollback'), check=False)[1] == 'StaleState'
        except BusError as e:
                return e.short == 'StaleState'


def test_server_that_lost_the_name(agent, link, pair):
        """A server that lost the end of what it had says that the agent before this one wrote the owner row: that is no other agent, but a third name is."""
        shop = small(link, *pair)
        task = task_of(pair[1])
        before = [name_on(server) for server in pair]
        agent.restart()
        shop.wait_caught_up()
        assert all(name_on(server) != name for server, name in zip(pair, before))
        for server, name in zip(pair, before):
                server.script(['SET sql_log_bin=0', f'UPDATE polarshift.owner SET agent = {name}'])
                end_control(server, task)
        steps.change_side(shop, 'Switch')
        steps.make_ready(shop)
        for server in pair:
                server.script(['SET sql_log_bin=0', 'UPDATE polarshift.owner SET agent = 1'])
                end_control(server, task)
        shop.wait(lambda: is_stale(shop), 60, 'the refusal')
        agent.restart()
        ready(shop)
        steps.change_side(shop, 'Rollback')


def test_mark_of_what_was_undone(held, pair):
        """Abort, while the new side is asked what became of the commit point, takes nothing from the mark that another agent has to find there."""
        agent, points = held
        source, destination = pair
        schemas.create_shop(source, 300)
        shop = steps.create(agent, *pair)
        steps.start(shop)
        steps.make_ready(shop)
        points.hold('switch.owner.before')
        operation = steps.begin(shop, 'Switch', {'deadline': 300.0})
        points.wait('switch.owner.before')
        before = name_on(destination)
        destination.kill9()
        agent.kill9()
        points.release('switch.owner.before')
        points.hold('switch.undo.before')
        agent.start()
        shop.wait(lambda: shop.get('LastError')[0].endswith('DestinationUnreachable'), 30, 'the recovery')
        shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
        destination.start()
        points.wait('switch.undo.before')
        assert name_on(destination) != before
        points.release('switch.undo.before')
        assert shop.finish(operation, check=False)[0] in ('undone', 'canceled')
        assert not steps.write_refused(source)
        shop.wait_caught_up()


def task_of(server):
        return server.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'canary%'")[7:]


def waits(server):
        time.sleep(0.2)                         # InnoDB shows an old copy to those who ask again within 0.1 s
        return server.admin("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")


def test_died_in_the_middle_of_a_transaction(agent, link, pair):
        """Its session on the destination stays, and holds rows and a checkpoint: the next agent ends it."""
        source, destination = pair
        shop = small(link, source, destination)
        with Agent(start=False) as second:
                with destination.connect() as holder, holder.cursor() as cursor:
                        cursor.execute('BEGIN')
                        cursor.execute('SELECT * FROM shop.stock WHERE product_id = 3 FOR UPDATE')
                        source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 3')
                        shop.wait(lambda: waits(destination), 20, 'the worker')
                        os.kill(agent.pid, signal.SIGSTOP)
                gone_on = take_over(agent, second, pair, task_of(destination))
                gone_on.wait_caught_up()
                equal.wait_equal(source, destination, ['shop'])
                assert 'in the middle of a transaction' in second.log() and gone_on.get('ForeignWrites') == 0


def stop_between_transactions(agent, server):
        """One that is open holds its checkpoint's row, and would be waited for."""
        for _ in range(100):
                os.kill(agent.pid, signal.SIGSTOP)
                time.sleep(0.3)
                if not server.scalar('SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_modified > 0'):
                        return
                os.kill(agent.pid, signal.SIGCONT)
                time.sleep(0.05)
        raise AssertionError('it is always in the middle of a transaction')


def test_stopped_agent_goes_on(agent, link, pair):
        """Another one went on with a copy of its state while it stood still. Its connections outlive that, all but those that hold the lock: nothing
        of what it knows may be written, nor a side be closed that takes writes now."""
        source, destination = pair
        shop = small(link, source, destination)
        task = task_of(destination)
        with Workload([source, destination], writers=2, rate=100) as load, Agent(start=False) as second:
                time.sleep(1)
                stop_between_transactions(agent, destination)
                gone_on = take_over(agent, second, pair, task)
                gone_on.wait_property('ReplicationState', 'running')
                steps.change_side(gone_on, 'Switch')
                owners = [s.admin('SELECT * FROM polarshift.owner') for s in pair]
                heartbeat = f'SELECT value FROM polarshift.wm_{task} WHERE id = 1'
                last = source.scalar(heartbeat)
                os.kill(agent.pid, signal.SIGCONT)
                deadline = time.monotonic() + 4
                while time.monotonic() < deadline:
                        assert destination.variable('read_only') == 0 and source.variable('read_only') == 1
                        time.sleep(0.1)
                link_failed(shop, 'StaleState')
                refused(shop, 'Switch', 'StaleState', 'DelayUnknown')
                assert owners == [s.admin('SELECT * FROM polarshift.owner') for s in pair]
                assert source.scalar(heartbeat) == last
                gone_on.wait_caught_up()
                load.pause()
                equal.wait_equal(destination, source, ['shop'])
                assert gone_on.get('ForeignWrites') == 0 and gone_on.get('LastError') == ('', '')
                load.go_on()
                steps.change_side(gone_on, 'Rollback')
                steps.change_side(gone_on, 'Switch')
        load.check(destination)
