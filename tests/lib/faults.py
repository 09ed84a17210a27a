# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix: each operation that changes who takes writes, stopped before and after each of its steps, there a fault, clients
writing all the while; and what must hold afterwards.

    cells('switch')                                 # every cell of an operation
    with Matrix() as matrix:                        # servers, agent with failpoints, a migration, clients
        outcome = matrix.run(cell)                  # raises AssertionError
    print(table(outcomes))

What a cell is measured by: LastOperation says `done` exactly when the phase changed, and `done` or not is what the protocol promises for that
step; afterwards exactly one side takes writes; no write was acknowledged on the old side that began after one on the new side was acknowledged; every
acknowledged transaction is on the side that takes writes, none twice; both sides are equal to the last byte by an independent reader.
"""

import collections
import contextlib
import json
import os
import shutil
import time

import pymysql

import accounts
import equal
import namespaces
import proxy
import schemas
import servers
import steps
from agent import Agent
from hooks import Hooks
from workload import ACKNOWLEDGED, Workload

STEPS = ('guard', 'fence', 'end-position', 'drain', 'final-check', 'epoch', 'flip', 'reverse-start', 'commit', 'owner', 'open', 'release',
         'reverse')
UNDO = ('undo',)                        # passed when Abort comes while the drain is held
ENDING = {'complete': ('ask', 'drain', 'stop', 'source', 'destination'), 'cancel': ('ask', 'stop', 'source', 'destination'),
          'expire': ('ask', 'stop', 'source', 'destination'), 'expire-switched': ('ask', 'stop', 'source', 'destination')}
# With fence=accounts there are two more points, which are passed once in the course of the one that is named: behind the record of what will be
# closed, and when all is open and the record still there.
ACCOUNTS = {'accounts-recorded': 'fence', 'accounts-opened': 'owner'}
OPENING = {'cancel': 'destination', 'expire': 'destination'}
FENCES = ('global', 'accounts', 'hook')
CHANGES = ('switch', 'rollback')
SWITCHED = ('complete', 'expire-switched')      # what they end is a migration in that phase
FAULTS = ('agent', 'agent-stop', 'agent-twice', 'writer', 'writer-forgetful', 'reader', 'cut-writer', 'cut-reader', 'cut-both',
          'cut-writer-long', 'cut-reader-long', 'cut-both-long', 'reset-both', 'abort')
# A long cut outlasts the deadline of a change of side, and the waits of an end: for the drain, and for a connection (10 s both).
LONG = ('cut-writer-long', 'cut-reader-long', 'cut-both-long')
DEADLINE = 3.0                                  # s, with a long cut
CUT, CUT_CHANGE, CUT_ENDING = 1.5, 6.0, 12.5    # s, from the moment that the agent goes on
CUT_BEFORE = 0.3                                # s, with a long cut

Cell = collections.namedtuple('Cell', 'operation step when fault')
Outcome = collections.namedtuple('Outcome', 'cell result seconds closed_for')   # the last: how long the side that must open while a cable is cut was closed


def points(operation, fence='global'):
        """(step, when) in the order in which they are passed."""
        if operation not in CHANGES:
                found = [(s, w) for s in ENDING[operation] for w in ('before', 'after')]
                if fence == 'accounts' and operation in OPENING:
                        found.insert(found.index((OPENING[operation], 'after')), ('accounts-opened', 'after'))
                return found
        found = [(s, w) for s in STEPS for w in ('before', 'after') if (s, w) != ('open', 'before')] + [(s, w) for s in UNDO for w in ('before', 'after')]
        if fence == 'accounts':
                found.insert(found.index(('fence', 'after')), ('accounts-recorded', 'after'))
                found.insert(found.index(('open', 'after')), ('accounts-opened', 'after'))
        return found


def point_name(cell):
        """As the agent calls it."""
        kind = 'expire' if cell.operation.startswith('expire') else cell.operation
        return f'{cell.step.replace("-", ".")}.{cell.when}' if cell.step in ACCOUNTS else f'{kind}.{cell.step}.{cell.when}'


def place(step, when):
        """A number that grows along the steps of a change of side."""
        return 2 * STEPS.index(ACCOUNTS.get(step, step)) + {'accounts-recorded': 0.5, 'accounts-opened': 1.5}.get(step, when == 'after')


def applies(operation, step, when, fault, fence='global'):
        """A durable fence is the configuration's; without it a restart of the old side behind its last look is the gap that check
        fence-durable names (tests/model/switch.pml, FORGETFUL). Locks of accounts are durable by themselves."""
        if operation not in CHANGES:
                return fault not in ('writer-forgetful', 'abort', 'agent-twice')
        if fault == 'agent-twice':
                return step != 'guard'          # there is nothing to recover
        if fault == 'writer-forgetful':
                return fence != 'accounts' and (step == 'undo' or place(step, when) <= place('commit', 'before'))
        if fault == 'abort':
                return step != 'undo'
        return True


def cells(operation, faults=FAULTS, fence='global'):
        return [Cell(operation, step, when, fault) for step, when in points(operation, fence) for fault in faults
                if applies(operation, step, when, fault, fence)]


def allowed(cell):
        """The results that LastOperation may tell."""
        operation, step, when, fault = cell
        if operation not in CHANGES:
                if misses_deadline(cell):
                        return {'failed'}
                return {'done', 'failed'} if fault in ('writer', 'reader') else {'done'}
        if step == 'undo':
                return {'canceled', 'undone'}           # undone: the agent was killed meanwhile, and Abort is not in the journal
        at, row = place(step, when), place('owner', 'before')
        if at > row:
                return {'done'}
        if fault in LONG and (step, when) != ('guard', 'before'):       # the deadline counts from the end of the guard
                if misses_deadline(cell):
                        return {'undone'}
                return {'done'} if fault == 'cut-writer-long' else {'undone', 'done'}   # whatever B says
        if fault == 'abort':
                return {'canceled'} if at < place('commit', 'before') else {'done'}
        if (step, when) == ('guard', 'before') and fault in ('writer', 'writer-forgetful'):
                return {'failed'}                       # what was compared before a crash of that side does not count
        if step == 'guard':
                return {'failed'} if fault == 'agent' else {'failed', 'undone', 'done'}
        if fault in ('agent', 'agent-twice'):
                return {'undone'}
        return {'undone', 'done'}                       # of a signal to end, too: it may be taken only behind the commit point


def misses_deadline(cell):
        """Behind the point, and before the intention to commit is in the journal, something is asked of the side that is away: of A up to the last
        look at it, of B up to where the way back begins. Of the ends Complete waits for the drain, and 10 s only; everything else asks again, or
        for longer."""
        if cell.fault not in LONG or cell.step == 'undo':
                return False
        if cell.operation not in CHANGES:
                return (cell.operation, cell.fault) == ('complete', 'cut-reader-long') and (cell.step, cell.when) in (('ask', 'after'), ('drain', 'before'))
        last = {'cut-reader-long': ('reverse-start', 'before')}.get(cell.fault, ('commit', 'before'))
        return place('guard', 'after') <= place(cell.step, cell.when) <= place(*last)


def open_while_cut(cell):
        """What a long cut must not keep closed: 'old' (the side that takes writes when the cell begins), 'new' or None. A is reopened at the deadline
        although B is away, and B is opened although A is away, once it says so."""
        if cell.operation not in CHANGES or (cell.step, cell.when) == ('guard', 'before'):
                return 'old'
        if cell.step == 'undo':
                return 'old' if cell.when == 'after' or cell.fault == 'cut-reader-long' else None
        if place(cell.step, cell.when) >= place('open', 'after'):
                return 'new'
        if cell.fault == 'cut-reader-long' and misses_deadline(cell):
                return 'old'
        return 'new' if cell.fault == 'cut-writer-long' and not misses_deadline(cell) else None


def behind_restart(cell):
        """The first point that an agent passes which was killed at this one and starts again."""
        if (cell.step, cell.when) in (('owner', 'after'), ('accounts-opened', 'after'), ('open', 'after')):
                return f'{cell.operation}.owner.after'
        return f'{cell.operation}.release.before' if allowed(cell) == {'done'} else f'{cell.operation}.undo.before'


class Failpoints:
        """$POLARSHIFT_FAILPOINTS (tests/faults/failpoint.c)."""

        def __init__(self, folder):
                self.folder = folder
                os.makedirs(folder, exist_ok=True)

        def _path(self, name):
                return os.path.join(self.folder, name)

        def hold(self, name):
                if self.reached(name):          # by an earlier agent
                        os.unlink(self._path(name + '.reached'))
                with open(self._path(name), 'w', encoding='ascii'):
                        pass

        def limit(self, name, value):
                with open(self._path(f'limit.{name}'), 'w', encoding='ascii') as f:
                        f.write(str(value))

        def reached(self, name):
                return os.path.exists(self._path(name + '.reached'))

        def release(self, name):
                if os.path.exists(self._path(name)):
                        os.unlink(self._path(name))

        def wait(self, name, over=lambda: None, timeout=60):
                """Until the agent is held there. over() says why that cannot come any more."""
                deadline = time.monotonic() + timeout
                while not self.reached(name):
                        why = over()
                        assert not why, f'{name} was not reached: {why}'
                        assert time.monotonic() < deadline, f'{name} was not reached'
                        time.sleep(0.01)

        def passed(self):
                """Every point that was passed, once each, in order, since the last call."""
                try:
                        with open(self._path('passed'), encoding='ascii') as f:
                                names = f.read().split()
                except FileNotFoundError:
                        return []
                os.unlink(self._path('passed'))
                return list(dict.fromkeys(names))


CABLES = ('proxy', 'namespaces')


class Matrix:
        def __init__(self, source=servers.MySQL56, destination=servers.MariaDB, *, fence='global', cables='proxy', customers=60, rate=120):
                self.kinds = (source, destination)
                self.fence = fence
                self.kind_of_cables = cables
                # For the functions and the event there are with fence=accounts, and for what a hook has to switch off.
                self.config = ['log_bin_trust_function_creators=ON', 'event_scheduler=ON'] if fence != 'global' else []
                if cables == 'namespaces':
                        self.config.append('bind-address=0.0.0.0')
                self.customers = customers
                self.rate = rate
                self.number = 0
                self.load = self.shop = None
                self.sides = (0, 1)     # of the pair: which one takes writes, which one does not, when a cell begins
                self.began = 0
                self.closed_for = 0
                self.accounts = None    # of both sides, when a cell begins; only with fence=accounts

        def __enter__(self):
                with contextlib.ExitStack() as owned:
                        spaces = owned.enter_context(namespaces.Namespaces()) if self.kind_of_cables == 'namespaces' else None
                        wires = [spaces.cable() for _ in self.kinds] if spaces else []
                        self.pair = servers.start_pair(*self.kinds, {'config': self.config}, {'config': self.config})
                        for server in self.pair:
                                owned.callback(server.close)
                        self.cables = wires or [owned.enter_context(proxy.Proxy(server.port)) for server in self.pair]
                        for cable, server in zip(wires, self.pair):
                                cable.port = server.port
                        folder = servers.scratch_folder('pf-')
                        owned.callback(shutil.rmtree, folder, ignore_errors=True)
                        self.failpoints = Failpoints(os.path.join(folder, 'points'))
                        environment = {'POLARSHIFT_FAILPOINTS': self.failpoints.folder}
                        if self.fence == 'hook':
                                environment |= self._install_hook(os.path.join(folder, 'hook'))
                        self.agent = owned.enter_context(Agent(environment=environment, program='tests/faults/polarshiftd-faults',
                                                               prefix=spaces.prefix if spaces else ()))
                        owned.callback(self.forget)
                        self.owned = owned.pop_all()
                return self

        def __exit__(self, *exc):
                return self.owned.__exit__(*exc)

        def _install_hook(self, folder):
                """It closes and opens both sides, and on the destination nobody else may."""
                hooks = Hooks(folder, self.pair, [cable.port for cable in self.cables])
                hooks.install()
                destination = self.pair[1]
                destination.script(['SET sql_log_bin=0', "DROP USER 'agent'@'%'"])
                servers.create_agent_account(destination, 'agent', servers.AGENT_PASSWORD, without=['SUPER', 'SYSTEM_VARIABLES_ADMIN'])
                return hooks.environment

        # ---- a migration

        def forget(self):
                """The next cell gets a new migration."""
                if self.load:
                        self.load.stop(check=False)
                self.load = self.shop = None

        def recover(self):
                """An agent without a migration, servers that run, nothing held, cables whole; also after a cell that failed."""
                self.forget()
                self.agent.kill9()
                for name in os.listdir(self.failpoints.folder):
                        os.unlink(os.path.join(self.failpoints.folder, name))
                shutil.rmtree(self.agent.state, ignore_errors=True)     # its migrations go with it
                os.makedirs(self.agent.state, mode=0o700)
                for cable in self.cables:
                        cable.mend()
                self.agent.start()

        def _new(self, clients_of):
                """A migration in phase synchronizing, over a new shop."""
                if self.shop is not None:
                        self.recover()
                for server in self.pair:
                        server.config = self.config
                        if not server.running:
                                server.start()
                        server.script(['SET GLOBAL read_only = 0', 'DROP DATABASE IF EXISTS shop', 'DROP DATABASE IF EXISTS polarshift'])
                        if self.fence == 'accounts':
                                accounts.drop_all(server)
                                servers.restore_accounts(server)
                                accounts.allow_proxy(server)
                                server.script(['DROP DATABASE IF EXISTS `sh_op`', 'DROP DATABASE IF EXISTS `q``uote`'])
                schemas.create_shop(self.pair[0], self.customers)
                if self.fence == 'accounts':
                        accounts.create(self.pair[0])
                        self.pair[0].script(["CREATE DEFINER='definer'@'%' EVENT shop.daily ON SCHEDULE EVERY 1 DAY DO DO 0"])
                self.number += 1
                name = f'shop-{self.number}'
                for side in ('source', 'destination'):
                        self.agent.set_credential(f'{name}.{side}', servers.AGENT_PASSWORD)
                uris = [f'mysql://agent@{cable.host}:{cable.port}/?ssl-mode=disabled' for cable in self.cables]
                self.shop = self.agent.create(name, *uris, unfit='skip', fence=self.fence)
                self.load = Workload(clients_of, writers=3, rate=self.rate).start()
                steps.start(self.shop)

        def prepare(self, operation):
                """A migration that is ready for an operation."""
                if operation not in CHANGES:            # a canceled migration leaves both sides open: clients have to know where they belong
                        self._new(self.pair[:1] if operation in ('cancel', 'expire') else self.pair)
                        if operation in SWITCHED:
                                steps.change_side(self.shop, 'Switch')
                elif self.shop is None or self.shop.get('Phase') not in ('synchronizing', 'switched'):
                        self._new(self.pair)
                        steps.change_side(self.shop, 'Switch')  # a side that comes back closed is opened from the first switch on
                phase = 'switched' if operation in ('rollback', *SWITCHED) else 'synchronizing'
                if self.shop.get('Phase') != phase:
                        steps.change_side(self.shop, 'Switch' if phase == 'switched' else 'Rollback')
                steps.make_ready(self.shop)
                self.sides = (0, 1) if phase == 'synchronizing' else (1, 0)

        # ---- the faults

        def _crash(self, side, durable):
                """kill -9 and the restart after it. What makes the fence outlive that is a line in the configuration."""
                server = self.pair[side]
                server.config = self.config + (['read_only=1'] if durable and self.fence != 'accounts' else [])
                server.kill9()
                server.start()

        def _kill_agent_twice(self, cell, hold, over):
                """At the point, and at the first one that it passes when it is back."""
                again = behind_restart(cell)
                self.agent.kill9()
                self.failpoints.release(hold)
                self.failpoints.hold(again)
                self.agent.start()
                try:
                        self.failpoints.wait(again, over)
                        self.agent.kill9()
                finally:
                        self.failpoints.release(again)
                self.agent.start()

        def _cut(self, cell, hold, operation):
                writer, reader = self.sides
                sides = {'writer': [writer], 'reader': [reader], 'both': [writer, reader]}[cell.fault.split('-')[1]]
                for side in sides:
                        self.cables[side].cut()
                if cell.fault in LONG:          # something is written meanwhile, so that there is something to drain
                        time.sleep(CUT_BEFORE)
                self.failpoints.release(hold)
                if cell.fault in LONG:
                        self._watch_while_cut(cell, CUT_CHANGE if cell.operation in CHANGES else CUT_ENDING)
                        if cell.fault == 'cut-reader-long' and misses_deadline(cell):
                                assert self.shop.get('LastOperation')[0] == operation, f'not over while {self.pair[reader].flavor} is away'
                else:
                        time.sleep(CUT)
                for side in sides:
                        self.cables[side].mend()

        def _watch_while_cut(self, cell, seconds):
                began = time.monotonic()
                expected = {'old': self.sides[0], 'new': self.sides[1]}.get(open_while_cut(cell))
                closed_until = None
                while time.monotonic() < began + seconds:
                        if expected is not None and self._refused(expected):
                                closed_until = time.monotonic()
                        time.sleep(0.05)
                if closed_until:
                        self.closed_for = closed_until - began
                        assert closed_until < began + seconds - 0.5, f'{self.pair[expected].flavor} is closed for as long as the cable is cut'

        def _fault(self, cell, hold, operation):
                """The agent is held at the point."""
                fault = cell.fault
                writer, reader = self.sides
                if fault == 'agent':
                        self.agent.kill9()
                        self.failpoints.release(hold)
                        self.agent.start()
                elif fault == 'agent-stop':
                        self.agent.begin_stop()
                        self.failpoints.release(hold)
                        self.agent.stop()
                        self.agent.start()
                elif fault == 'agent-twice':
                        self._kill_agent_twice(cell, hold, self._over(operation))
                elif fault == 'writer':                 # when a migration ends nobody is left to open a side with such a line
                        self._crash(writer, durable=cell.operation in CHANGES)
                elif fault == 'writer-forgetful':
                        self._crash(writer, durable=False)
                elif fault == 'reader':
                        self._crash(reader, durable=cell.operation not in ('cancel', 'expire'))
                elif fault == 'abort':
                        self.shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                elif fault == 'reset-both':
                        for cable in self.cables:
                                cable.reset()
                else:
                        self._cut(cell, hold, operation)

        # ---- a cell

        def run(self, cell):
                started = time.monotonic()
                self.prepare(cell.operation)
                phase = self.shop.get('Phase')
                self.accounts = [accounts.snapshot(server) for server in self.pair] if self.fence == 'accounts' else None
                hold = point_name(cell)
                self.failpoints.hold(hold)
                self.began = time.monotonic()
                self.closed_for = 0
                try:
                        operation = self._begin(cell, hold)
                        self._fault(cell, hold, operation)
                finally:
                        self.failpoints.release(hold)
                result, name, message = self.shop.finish(operation, 120, check=False)
                assert result in allowed(cell), f'{result} {name}: {message}; must be {" or ".join(sorted(allowed(cell)))}'
                assert (result == 'done') == (name == '') == (message == ''), (result, name, message)
                assert name == 'DeadlineExceeded' or not misses_deadline(cell), (name, message)
                if cell.operation in CHANGES:
                        self._look_at_change(result, phase)
                else:
                        self._look_at_end(cell.operation, result, message, phase)
                return Outcome(cell, result, time.monotonic() - started, self.closed_for)

        def _begin(self, cell, hold):
                """The operation, held at the point."""
                method, opts = cell.operation.capitalize(), {'deadline': DEADLINE} if cell.fault in LONG and cell.operation in CHANGES else None
                if cell.operation.startswith('expire'):
                        operation = self.shop.get('LastOperation')[0] + 1
                        self.shop.call('SetLimits', '(a{sv}t)', {'expire-after': 1}, 0)
                        self.failpoints.wait(hold, self._over(operation))
                        return operation
                if cell.step != 'undo':
                        operation = steps.begin(self.shop, method, opts)
                        self.failpoints.wait(hold, self._over(operation))
                        return operation
                drain = f'{cell.operation}.drain.before'
                self.failpoints.hold(drain)
                try:
                        operation = steps.begin(self.shop, method, opts)
                        self.failpoints.wait(drain, self._over(operation))
                        self.shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                finally:
                        self.failpoints.release(drain)
                self.failpoints.wait(hold, self._over(operation))
                return operation

        def _over(self, operation):
                def over():
                        last = self.shop.get('LastOperation')
                        return last if last[0] >= operation else None
                return over

        def _look_at_change(self, result, phase):
                now = self.shop.get('Phase')
                other = 'switched' if phase == 'synchronizing' else 'synchronizing'
                assert now == (other if result == 'done' else phase), f'{result}, but the phase is {now}'
                with open(os.path.join(self.agent.state, 'migrations', self.shop.name, 'state.json'), encoding='utf-8') as f:
                        assert json.load(f)['operation'] is None
                open_one, closed = self.sides if result != 'done' else self.sides[::-1]
                self.shop.wait(lambda: not self._refused(open_one), 60, 'the side that takes writes open')
                assert self._refused(closed), f'both sides are open'
                self.shop.wait_caught_up()
                assert self.shop.get('ForeignWrites') == 0
                self._look_at_accounts(result, open_one, closed)
                acknowledged = self._acknowledged_since(open_one)
                old = [sent for side, sent, _ in acknowledged if side == self.sides[0]]
                new = [answered for side, _, answered in acknowledged if side == self.sides[1]]
                if result == 'done':
                        assert not old or max(old) < min(new), 'a write began on the old side after one was acknowledged on the new one'
                else:
                        assert not new, 'the side that does not take writes took some'
                equal.wait_equal(*self.pair, ['shop'])
                self.load.check(self.pair[open_one])
                self.load.go_on()

        def _look_at_accounts(self, result, open_one, closed):
                """What was undone has left nothing behind, to the last byte; events run on one side."""
                if self.accounts is None:
                        return
                if result != 'done':
                        for side, before in enumerate(self.accounts):
                                self.shop.wait(lambda: accounts.snapshot(self.pair[side]) == before, 30, f'the accounts of {self.pair[side].flavor} as they were') # pylint: disable=W0640
                events = "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'"
                self.shop.wait(lambda: list(self.pair[open_one].admin(events)) == [('ENABLED',)], 30, 'the event on the side that takes writes')
                assert ('ENABLED',) not in self.pair[closed].admin(events)
                assert self._lets_in(open_one) and not self._lets_in(closed)

        def _lets_in(self, side):
                """An account that was carried, with its password as it was: MySQL 9.7 knows no such passwords, there another one tells."""
                user = ('app', servers.APP_PASSWORD) if self.pair[side].flavor == 'mysql97' else ('plain', 'plain')
                return accounts.can_log_in(self.pair[side], *user)

        def _refused(self, side):
                try:
                        return steps.write_refused(self.pair[side])
                except pymysql.err.OperationalError:    # the fence ended this very session
                        return True

        def _acknowledged_since(self, side, timeout=60):
                """[(side, sent, answered)] of what was acknowledged since the cell began. Clients write on SIDE again, and are paused now."""
                deadline = time.monotonic() + timeout
                now = time.monotonic()
                while True:
                        self.load.pause()
                        found = [(r[3], r[4], r[5]) for r in self.load.records() if r[2] == ACKNOWLEDGED and r[4] > self.began]
                        if any(s == side and sent > now for s, sent, _ in found):
                                return found
                        assert time.monotonic() < deadline, 'no client writes any more'
                        self.load.go_on()
                        time.sleep(0.1)

        def _look_at_end(self, operation, result, message, phase):
                final = 'completed' if operation == 'complete' else 'canceled'
                if result != 'done':            # a server was away: nothing is half-done for good
                        assert self.shop.get('Phase') == phase
                        if 'the end of the migration had begun' not in message:
                                self.shop.wait_caught_up()
                        assert self.shop.operate(operation.capitalize())[0] == 'done'
                assert self.shop.get('Phase') == final
                writer, reader = self.sides
                assert not self._refused(writer) and self._refused(reader) == (operation in SWITCHED)
                if self.fence == 'accounts':
                        assert self._lets_in(reader) == (operation not in SWITCHED)
                for server in self.pair:
                        assert not server.admin("SHOW DATABASES LIKE 'polarshift'")
                acknowledged = self._acknowledged_since(writer)
                assert all(side == writer for side, _, _ in acknowledged)
                self.load.check(self.pair[writer])
                if operation == 'complete':             # the old side has all that was acknowledged when it was asked for
                        there = set(self.pair[reader].admin('SELECT writer, seq FROM ledger', db='shop'))
                        missing = [(r[0], r[1]) for r in self.load.records() if r[2] == ACKNOWLEDGED and r[5] < self.began and (r[0], r[1]) not in there]
                        assert not missing, f'missing on the side that was left: {missing[:5]}'
                self.load.go_on()


def read_table(text):
        """What table() made, also from among other text: {Cell: text}."""
        outcomes, operation, known = {}, None, []
        for line in text.splitlines():
                words = [word.strip() for word in line.strip().strip('|').split('|')] if line.startswith('|') else []
                if words and words[0] in (*CHANGES, *ENDING):
                        operation, *known = words
                elif not words:
                        operation = None
                elif operation and words[0].split(' ')[0] in ('before', 'after'):
                        when, step = words[0].split(' ')
                        outcomes.update({Cell(operation, step, when, fault): word for fault, word in zip(known, words[1:]) if word})
        return outcomes


def table(outcomes):
        """Rows: points. Columns: faults. OUTCOMES: {Cell: text}."""
        lines = []
        for operation in dict.fromkeys(c.operation for c in outcomes):
                faults = [f for f in FAULTS if any(c.operation == operation and c.fault == f for c in outcomes)]
                rows = [[operation, *faults]]
                for step, when in points(operation, 'accounts'):
                        words = [outcomes.get(Cell(operation, step, when, f), '') for f in faults]
                        if any(words):
                                rows.append([f'{when} {step}', *words])
                widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
                rows.insert(1, ['-' * w for w in widths])
                lines += ['| ' + ' | '.join(word.ljust(width) for word, width in zip(row, widths)) + ' |' for row in rows] + ['']
        return '\n'.join(lines)
