# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens close to the commit point of a switch, and behind it while the old side is not ready yet: foreign writes that nothing carries, a
statement or a password that stops the way back, a new side that is restarted, a row that cannot be written, a state that cannot be."""

import json
import os
import shutil
import subprocess
import time

import pytest

import equal
import faults
import schemas
import servers
import steps
from agent import Agent, BusError, OperationFailed


@pytest.fixture
def ready(pair, held, request):
        """(agent, its failpoints, a migration that can be switched, with the fence that the test names)."""
        return *held, make(held[0], *pair, fence=getattr(request, 'param', 'global'))


def make(agent, source, destination, **options):
        schemas.create_shop(source, 300)
        shop = steps.create(agent, source, destination, **options)
        steps.start(shop)
        steps.make_ready(shop)
        return shop


def hold(points, shop, point, **options):
        points.hold(point)
        operation = shop.begin('Switch', {name.replace('_', '-'): value for name, value in options.items()})
        points.wait(point, lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)
        return operation


def changed(price):
        return f'UPDATE shop.products SET price = {price} WHERE id = 1'


def connections(server):
        return int(server.admin("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def trouble(shop, name):
        shop.wait(lambda: shop.get('LastError')[0].endswith('.' + name), 60, name)


def test_written_on_the_old_side_behind_the_commit_point(ready, pair):
        """By somebody whom read_only does not stop. Nothing carries it, and a rollback would keep it and lose what the new side has: counted."""
        _, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.release.before')
        source.admin(changed(17))               # as root
        destination.admin(changed(18))
        points.release('switch.release.before')
        assert shop.finish(operation)[0] == 'done'
        shop.wait_property('ForeignWrites', 1, 20)
        assert shop.get('VerificationState') != 'equal'
        with pytest.raises((BusError, OperationFailed)) as refused:
                shop.operate('Rollback')
        assert refused.value.short in ('ForeignWrites', 'VerificationFailed')
        assert not steps.write_refused(destination)


def test_written_on_the_new_side_before_the_commit_point(ready, pair):
        """Before the place where the way back begins: it would never be on the old side."""
        _, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.flip.before')
        destination.admin(changed(17))
        points.release('switch.flip.before')
        assert shop.finish(operation, check=False)[:2] == ('undone', 'ForeignWrites')
        assert not steps.write_refused(source) and steps.write_refused(destination)


def test_new_side_opened_before_the_guard(ready, pair):
        """Found when nobody waits yet, and closed again: by the guard, or by the monitor before it has come to that."""
        _, points, shop = ready
        source, destination = pair
        for _ in range(4):
                operation = hold(points, shop, 'switch.guard.before')
                destination.admin('SET GLOBAL read_only=0')
                points.release('switch.guard.before')
                result, name, message = shop.finish(operation, check=False)
                assert (result, name) in (('failed', 'ForeignWrites'), ('done', '')), (result, name, message)
                if result == 'done':
                        steps.change_side(shop, 'Rollback')
                assert steps.write_refused(destination) and not steps.write_refused(source)
                steps.make_ready(shop)


def xa(cursor, name, key):
        for sql in (f"XA START '{name}'", f'INSERT INTO shop.stock VALUES ({key}, 1, 7, NULL)', f"XA END '{name}'", f"XA PREPARE '{name}'"):
                cursor.execute(sql)


@pytest.mark.parametrize('ready', ['global', 'accounts'], indirect=True)
def test_prepared_behind_the_guard(ready, pair):
        """XA PREPARE when the guard has looked. MySQL 5.6 would roll it back when its session is killed, and takes XA COMMIT behind read_only."""
        _, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.fence.before')
        with source.connect('app', servers.APP_PASSWORD) as c, c.cursor() as cursor:
                xa(cursor, 'late', 900001)
                points.hold('switch.undo.before')
                points.release('switch.fence.before')
                points.wait('switch.undo.before', lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)
                assert steps.write_refused(source)
                cursor.execute("XA COMMIT 'late'")
                points.release('switch.undo.before')
                assert shop.finish(operation, check=False)[:2] == ('undone', 'CheckFailed')
        equal.wait_equal(source, destination, ['shop'])
        assert destination.scalar('SELECT quantity FROM shop.stock WHERE product_id = 900001') == 7
        steps.make_ready(shop)
        steps.change_side(shop, 'Switch')
        assert shop.get('ForeignWrites') == 0


def test_prepared_behind_the_fence(ready, pair):
        """By somebody whom read_only does not stop, who comes behind the last look: nothing tells of it before XA COMMIT, and that is too late. Counted."""
        _, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.owner.before')
        points.hold('switch.release.before')
        with source.connect() as c, c.cursor() as cursor:
                xa(cursor, 'later', 900002)
                points.release('switch.owner.before')
                points.wait('switch.release.before', lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)
                cursor.execute("XA COMMIT 'later'")
        points.release('switch.release.before')
        assert shop.finish(operation)[0] == 'done'
        shop.wait_property('ForeignWrites', 1, 20)
        assert shop.get('VerificationState') != 'equal' and not steps.write_refused(destination)


def test_statement_that_the_old_side_does_not_take(ready, pair):
        """Before the way back runs: told as what it is, and gone on from as ever."""
        agent, points, shop = ready
        destination = pair[1]
        operation = hold(points, shop, 'switch.release.before')
        destination.admin('ALTER TABLE shop.products ADD COLUMN twice DECIMAL(12,2) GENERATED ALWAYS AS (price * 2) STORED')
        points.release('switch.release.before')
        trouble(shop, 'UnsupportedObject')
        agent.restart()                         # it is the same behind a restart
        shop = agent.migration('shop')
        trouble(shop, 'UnsupportedObject')
        shop.call('Resume', '(a{sv}t)', {'ddl': 'skip'}, 0)
        assert shop.finish(operation)[0] == 'done'
        assert shop.get('Phase') == 'switched' and shop.get('LastError') == ('', '')
        destination.admin('UPDATE shop.stock SET quantity = quantity + 1')
        shop.wait(lambda: len({server.scalar('SELECT SUM(quantity) FROM shop.stock') for server in pair}) == 1, 30, 'the rows')


def test_password_of_the_old_side(ready, pair):
        agent, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.release.before')
        source.script(['SET sql_log_bin = 0', "SET PASSWORD FOR 'agent'@'%' = PASSWORD('another')"])
        for thread, in source.admin("SELECT id FROM information_schema.processlist WHERE user = 'agent'"):
                source.admin(f'KILL {thread}')
        points.release('switch.release.before')
        trouble(shop, 'AuthenticationFailed')
        agent.set_credential('shop.source', 'another')
        assert shop.finish(operation)[0] == 'done'
        source.script(['SET sql_log_bin = 0', f"SET PASSWORD FOR 'agent'@'%' = PASSWORD({servers.quote(servers.AGENT_PASSWORD)})"])
        agent.set_credential('shop.source', servers.AGENT_PASSWORD)
        assert steps.write_refused(source) and not steps.write_refused(destination)


@pytest.mark.parametrize('how', ['deadline', 'abort'])
def test_row_that_cannot_be_written(ready, pair, how):
        """The new side says that the row is not there: the old one is not kept closed beyond the deadline, or Abort."""
        _, _, shop = ready
        source, destination = pair
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM polarshift.owner FOR UPDATE')
                operation = shop.begin('Switch', {'deadline': 8.0 if how == 'deadline' else 300.0})
                shop.wait(lambda: shop.get('OperationStep') == 'commit' or shop.get('LastOperation')[0] >= operation, 30, 'the commit point')
                if how == 'abort':
                        shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                result, name, message = shop.finish(operation, check=False)
                assert (result, name) == (('undone', 'DeadlineExceeded') if how == 'deadline' else ('canceled', 'Failed')), message
                assert not steps.write_refused(source) and steps.write_refused(destination)
        steps.make_ready(shop)
        steps.change_side(shop, 'Switch')
        assert shop.get('VerificationState') == 'equal'
        equal.wait_equal(destination, source, ['shop'])


@pytest.mark.parametrize('restart', [False, True], ids=['', 'agent-restarted'])
def test_new_side_restarted_while_the_old_one_is_away(ready, pair, restart):
        """The one side is gone, the other has read_only in its configuration: somebody has to take writes."""
        agent, points, shop = ready
        source, destination = pair
        operation = hold(points, shop, 'switch.release.before')
        source.kill9()
        points.release('switch.release.before')
        trouble(shop, 'SourceUnreachable')
        before = connections(destination)
        time.sleep(5)
        assert connections(destination) - before < 40   # it waits between two tries
        if restart:
                agent.kill9()
        config = list(destination.config)
        destination.config.append('read_only=1')
        destination.kill9()
        destination.start()
        destination.config[:] = config
        if restart:
                assert steps.write_refused(destination)
                agent.start()
                shop = agent.migration('shop')
        shop.wait(lambda: not steps.write_refused(destination), 40, 'the destination open again')
        assert shop.get('Phase') == 'switched'
        source.start()
        assert shop.finish(operation)[0] == 'done'
        assert steps.write_refused(source) and not steps.write_refused(destination)
        destination.restart()                   # without read_only


def test_confirmed_while_the_old_side_is_away(ready, pair):
        """The clock runs from the change of the phase on; whoever confirms in time is heard."""
        _, points, shop = ready
        operation = hold(points, shop, 'switch.reverse.before', confirm_within=6.0)
        assert shop.get('Phase') == 'switched' and shop.get('ConfirmBy') > 0
        shop.call('Confirm', '(a{sv}t)', {}, 0)
        assert shop.get('ConfirmBy') == 0
        time.sleep(7)
        points.release('switch.reverse.before')
        assert shop.finish(operation)[0] == 'done'
        time.sleep(2)
        assert shop.get('Phase') == 'switched' and shop.get('LastOperation')[0] == operation
        assert not steps.write_refused(pair[1])


def test_writers_that_wait_for_the_new_side(ready, pair):
        """They write there as soon as it opens: nobody's foreign writes."""
        _, points, shop = ready
        operation = hold(points, shop, 'switch.open.after')
        pair[1].admin(changed(19))
        time.sleep(1)                           # its log is being read
        points.release('switch.open.after')
        assert shop.finish(operation)[0] == 'done'
        assert shop.get('VerificationState') == 'equal' and shop.get('ForeignWrites') == 0
        steps.change_side(shop, 'Rollback')
        equal.wait_equal(*pair, ['shop'])


def test_epoch_that_is_not_on_disk(pair):
        """No server hears of it: else the next start would find itself stale, with nobody who is newer."""
        source, destination = pair
        folder, disk = (servers.scratch_folder(prefix) for prefix in ('pf-', 'pa-'))
        points = faults.Failpoints(folder)
        mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk], check=False, stderr=subprocess.PIPE)
        if mount.returncode:
                pytest.skip(f'no file system can be mounted here: {mount.stderr.decode().strip()}')
        try:
                with Agent(folder=disk, environment={'POLARSHIFT_FAILPOINTS': folder}, program='tests/faults/polarshiftd-faults') as agent:
                        shop = make(agent, source, destination)
                        operation = hold(points, shop, 'switch.final-check.after')
                        before = source.scalar('SELECT epoch FROM polarshift.owner')
                        filler = os.path.join(disk, 'filler')
                        with open(filler, 'wb', buffering=0) as f:
                                with pytest.raises(OSError):
                                        while True:
                                                f.write(bytes(4096))
                        points.release('switch.final-check.after')
                        deadline = time.monotonic() + 30
                        while steps.write_refused(source):
                                assert time.monotonic() < deadline, 'the source is not opened'
                                time.sleep(0.1)
                        time.sleep(1)
                        assert source.scalar('SELECT epoch FROM polarshift.owner') == before
                        agent.kill9()
                        os.unlink(filler)
                        agent.start()
                        shop = agent.migration('shop')
                        assert shop.finish(operation, check=False)[0] == 'undone'
                        steps.make_ready(shop)
                        steps.change_side(shop, 'Switch')
                        assert json.loads(shop.call('GetReport'))
        finally:
                subprocess.run(['umount', '-l', disk], check=True)
                shutil.rmtree(folder)
                shutil.rmtree(disk, ignore_errors=True)
