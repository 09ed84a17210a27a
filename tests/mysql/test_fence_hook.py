# SPDX-License-Identifier: LGPL-2.1-or-later
"""fence=hook: sides are closed and opened by an executable of the administrator's, which is not believed."""

import json
import os
import shutil

import pytest

import equal
import schemas
import servers
import steps
from agent import Agent, OperationFailed
from faults import Failpoints
from hooks import Hooks
from workload import Workload


@pytest.fixture
def world(server, request):
        """(source, destination, agent, hooks, failpoints): an agent that may not switch what the hook has to, where that can be had."""
        kind = getattr(request, 'param', servers.MariaDB)
        missing = kind.missing() if hasattr(kind, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind, config=['event_scheduler=ON', 'log_bin_trust_function_creators=ON'])
        destination.script(['SET sql_log_bin=0', "DROP USER 'agent'@'%'"])
        servers.create_agent_account(destination, 'agent', servers.AGENT_PASSWORD, without=['SUPER', 'SYSTEM_VARIABLES_ADMIN'])
        folder = servers.scratch_folder('pf-')
        hooks = Hooks(os.path.join(folder, 'hooks'), [source, destination])
        points = Failpoints(os.path.join(folder, 'points'))
        with Agent(environment={**hooks.environment, 'POLARSHIFT_FAILPOINTS': points.folder}, program='tests/faults/polarshiftd-faults') as agent:
                for side in ('source', 'destination'):
                        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD)
                yield source, destination, agent, hooks, points
        shutil.rmtree(folder, ignore_errors=True)


def create(world, **options):
        source, destination, agent = world[:3]
        schemas.create_shop(source, 200)
        return agent.create('shop', source.uri('agent'), destination.uri('agent'), unfit='skip', fence='hook', **options)


def undone(shop, hooks, method, writer, reader, behaviour, text, error='HookFailed', **options):
        """A hook that does not do what it should: the writer goes on."""
        hooks.forget()
        hooks.behave(fence=behaviour)
        result, name, message = shop.operate(method, options, check=False)
        hooks.behave()
        assert (result, name) == ('undone', error) and text in message, (behaviour, result, name, message)
        assert [c['reason'] for c in hooks.calls('fence')] == ['switch'] and [c['reason'] for c in hooks.calls('unfence')] == ['undo'], hooks.calls()
        assert not steps.write_refused(writer) and steps.write_refused(reader), behaviour


@pytest.mark.parametrize('world', [servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'], indirect=True)
def test_whole_life(world):
        source, destination, _, hooks, _ = world
        source.admin('SET GLOBAL event_scheduler=ON')
        shop = create(world)
        with pytest.raises(OperationFailed) as refused:
                shop.operate('Start', flags=1)
        assert (refused.value.result, refused.value.short) == ('failed', 'HookFailed') and 'no hook' in refused.value.message
        assert not source.admin("SHOW DATABASES LIKE 'polarshift'") and not destination.admin("SHOW DATABASES LIKE 'polarshift'")
        hooks.install()
        hooks.behave(fence='lie')
        with pytest.raises(OperationFailed) as refused:         # it says nothing of what it does, and is looked after
                shop.operate('Start', flags=1)
        assert (refused.value.result, refused.value.short) == ('undone', 'HookFailed') and 'read_only is off' in refused.value.message
        assert not destination.admin("SHOW DATABASES LIKE 'polarshift'")
        hooks.behave()
        hooks.forget()
        with Workload([source, destination], writers=3, rate=150) as load:
                steps.start(shop)
                assert steps.write_refused(destination) and destination.variable('read_only') == 1
                call, = hooks.calls('fence')
                assert call == {'point': 'fence', 'migration': 'shop', 'writer': 'source', 'side': 'destination', 'host': '127.0.0.1', 'port': destination.port,
                                'operation': call['operation'], 'epoch': 1, 'reason': 'keep', 'events': False}

                # It was opened by somebody: the hook runs again.
                destination.admin('SET GLOBAL read_only=0')
                shop.wait(lambda: destination.variable('read_only') == 1, 60, 'the destination closed again')
                shop.wait(lambda: len(hooks.calls('fence')) == 2, 60, 'the hook')
                assert 'operation' not in hooks.calls('fence')[1]
                steps.make_ready(shop)
                undone(shop, hooks, 'Switch', source, destination, 'fail', '50-provider ended with status 3')
                undone(shop, hooks, 'Switch', source, destination, 'lie', 'read_only is off')
                undone(shop, hooks, 'Switch', source, destination, 'hang', 'did not end in time', 'DeadlineExceeded', deadline=10.0)
                hooks.forget()
                steps.change_side(shop, 'Switch')
                operation = shop.get('LastOperation')[0]
                assert [(c['point'], c.get('reason'), c.get('side'), c.get('events'), c.get('operation')) for c in hooks.calls()] == [
                        ('pre-switch', None, None, None, operation), ('fence', 'switch', 'source', False, operation),
                        ('unfence', 'switch', 'destination', False, operation), ('post-switch', None, None, None, operation)]
                assert steps.write_refused(source) and source.variable('event_scheduler') == 'OFF' and destination.variable('event_scheduler') == 'ON'
                assert shop.get('SourceReadWriteStatus') == 'read-only'

                # A restart forgets what the hook did.
                source.kill9()
                source.start()
                shop.wait(lambda: source.variable('read_only') == 1, 60, 'the source closed again')
                steps.make_ready(shop)
                undone(shop, hooks, 'Rollback', destination, source, 'events', 'event scheduler')
                if destination.flavor == 'mysql97':
                        undone(shop, hooks, 'Rollback', destination, source, 'super', 'super_read_only')
                        destination.admin('SET GLOBAL super_read_only=0')
                assert destination.variable('event_scheduler') == 'ON'
                hooks.forget()
                steps.change_side(shop, 'Rollback')
                assert [c['events'] for c in hooks.calls('fence')] == [True] and destination.variable('event_scheduler') == 'OFF'
                load.pause()
                equal.wait_equal(source, destination, ['shop'], 60)
                load.go_on()
                steps.change_side(shop, 'Switch')
                shop.operate('Complete')
                task = next(t for t in json.loads(shop.call('GetReport'))['to_do'] if 'unfence' in t['what'])
        load.check(destination)
        assert steps.write_refused(source) and not steps.write_refused(destination)
        source.script([s for s in task['sql'].split(';') if s])
        assert not steps.write_refused(source)


def test_crashes(world):
        """kill -9 of the agent around the fence, and an end of the agent while a hook runs; an opening that fails at first is tried until it works."""
        source, destination, agent, hooks, points = world
        hooks.install()
        shop = create(world)
        steps.start(shop)
        for method in ('Switch', 'Rollback'):
                writer, reader = (source, destination) if method == 'Switch' else (destination, source)
                name = method.lower()
                for point in (f'{name}.fence.before', f'{name}.fence.after', f'{name}.owner.after'):
                        steps.make_ready(shop)
                        points.hold(point)
                        hooks.forget()
                        operation = steps.begin(shop, method)
                        points.wait(point, lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)    # pylint: disable=W0640
                        if point.endswith('fence.after'):
                                hooks.behave(unfence='fail')
                        agent.kill9()
                        points.release(point)
                        agent.start()
                        if point.endswith('fence.after'):
                                shop.wait(lambda: len(hooks.calls('unfence')) > 1, 60, 'another try')
                                assert shop.get('LastError')[0].endswith('HookFailed') and steps.write_refused(writer)
                                hooks.behave()
                        done = point.endswith('owner.after')
                        assert shop.finish(operation, check=False)[0] == ('done' if done else 'undone'), point
                        assert steps.write_refused(writer) == done and steps.write_refused(reader) != done
        # What a hook has left in a server's configuration does not keep applications out, once there was a switch.
        source.config += ['read_only=1']
        hooks.forget()
        hooks.behave(unfence='fail')
        source.kill9()
        source.start()
        shop.wait(lambda: hooks.calls('unfence'), 60, 'the hook')
        hooks.behave()
        shop.wait(lambda: not steps.write_refused(source), 60, 'the source open')
        assert {c['reason'] for c in hooks.calls('unfence')} == {'keep'} and steps.write_refused(destination)
        source.config = source.config[:-1]

        steps.make_ready(shop)
        hooks.behave(fence='hang')
        hooks.forget()
        operation = steps.begin(shop, 'Switch')
        shop.wait(lambda: hooks.calls('fence'), 60, 'the hook')
        assert agent.stop() == 0
        assert [c['reason'] for c in hooks.calls('unfence')] == ['undo'], 'applications wait for nobody who has gone'
        hooks.behave()
        agent.start()
        assert shop.finish(operation, check=False)[0] in ('undone', 'canceled')
        equal.wait_equal(source, destination, ['shop'])

        # Abort does not wait for it either.
        steps.make_ready(shop)
        hooks.behave(fence='hang')
        hooks.forget()
        operation = steps.begin(shop, 'Switch')
        shop.wait(lambda: hooks.calls('fence'), 60, 'the hook')
        shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
        hooks.behave()
        assert shop.finish(operation, check=False)[0] == 'canceled' and not steps.write_refused(source)

        # Without the hook an administrator does by hand what it did.
        hooks.behave(unfence='fail')
        result, name, message = shop.operate('Cancel', check=False)
        assert (result, name) == ('failed', 'HookFailed'), message
        hooks.remove()
        destination.admin('SET GLOBAL read_only=0')
        shop.operate('Cancel')
        assert not steps.write_refused(source) and not steps.write_refused(destination)
