# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of the agent at random moments of copying, synchronizing and switching.

$POLARSHIFT_TEST_KILLS: how many (default 6). $POLARSHIFT_TEST_SEED: the seed that an earlier run printed."""

import json
import os
import random
import time

import equal
import schemas
import steps
from agent import GONE, BusError
from workload import Workload

KILLS = int(os.environ.get('POLARSHIFT_TEST_KILLS', '6'))
SEED = int(os.environ.get('POLARSHIFT_TEST_SEED', '0')) or random.randrange(1, 1 << 32)


def kill(agent, when):
        """A crash, and systemd's restart after it."""
        time.sleep(when)
        agent.kill9()
        time.sleep(0.1)
        agent.start()


def switch_and_kill(agent, shop, method, when):
        """Kills the agent `when` seconds after the method was called. Returns the phase where the agent came to rest,
        and checks that it is one of the two that are possible."""
        steps.begin(shop, method)
        kill(agent, when)
        shop.wait(lambda: shop.get('Operation') == '', 90, 'the end of the operation')
        phase, last = shop.get('Phase'), shop.get('LastOperation')
        assert phase in ('synchronizing', 'switched')
        print(f'{method} killed after {when:.3f} s: {last[1]} {last[2]} {last[3]}, phase {phase}')
        return phase


def test_kill(agent, link, pair):
        rng = random.Random(SEED)
        print(f'seed {SEED}, {KILLS} kills')
        source, destination = pair
        schemas.create_shop(source, 10000)
        shop = link(source, destination, max_copy_rate=6 << 20, copy_threads=2)
        while_copying = KILLS // 3
        while_synchronizing = KILLS // 3
        while_switching = KILLS - while_copying - while_synchronizing
        with Workload([source, destination], writers=4, rate=250, seed=SEED) as load:
                shop.operate('Start', flags=1)
                for _ in range(while_copying):
                        kill(agent, rng.uniform(0, 0.8))
                        print(f'killed in phase {shop.get("Phase")}, {shop.get("RowsCopied")} rows copied')
                shop.wait_phase('synchronizing', 180)
                for _ in range(while_synchronizing):
                        kill(agent, rng.uniform(0, 1.5))
                        shop.wait_caught_up()
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
                load.go_on()
                phase = 'synchronizing'
                for n in range(while_switching):
                        steps.make_ready(shop)
                        method = 'Switch' if phase == 'synchronizing' else 'Rollback'
                        phase = switch_and_kill(agent, shop, method, rng.choice([rng.uniform(0, 0.05),
                                                                                 rng.uniform(0, 0.6)]))
                        writable, closed = ((source, destination) if phase == 'synchronizing'
                                            else (destination, source))
                        shop.wait(lambda: not steps.write_refused(writable), 60, 'a writable side')
                        assert steps.write_refused(closed)
                        if n % 3 == 2 or n == while_switching - 1:
                                time.sleep(0.5)
                                shop.wait_caught_up()
                                load.pause()
                                equal.wait_equal(source, destination, ['shop'])
                                load.go_on()
                if phase == 'synchronizing':
                        steps.change_side(shop, 'Switch')
                time.sleep(0.5)
                shop.operate('Complete')
        acknowledged, unknown = load.check(destination)
        print(f'{acknowledged} acknowledged transactions, none lost, none twice; {unknown} unknown; '
              f'write interruptions {[round(s[2], 2) for s in load.switches()]}')


def test_kill_while_completing(agent, link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        try:
                shop.begin('Complete')
        except BusError as e:
                assert e.name in GONE
        kill(agent, random.Random(SEED).uniform(0, 0.1))
        shop.wait_property('Phase', 'completed')
        assert steps.write_refused(source) and not steps.write_refused(destination)
        for server in pair:
                assert not server.admin("SHOW DATABASES LIKE 'polarshift'")


def test_kill_while_starting(agent, link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        try:
                shop.begin('Start', flags=1)
        except BusError as e:
                assert e.name in GONE
        rng = random.Random(SEED)
        for _ in range(3):
                kill(agent, rng.uniform(0, 0.12))
        shop.wait_phase('synchronizing', 60)
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop'])
        assert steps.write_refused(destination) and not steps.write_refused(source)


STEPS = ('fence', 'end-position', 'drain', 'final-check', 'epoch', 'flip', 'reverse-start', 'commit', 'release', 'reverse')


def kill_at_step(agent, shop, method, step):
        """Kills the agent as soon as its journal says STEP. False: the step was over before it was seen."""
        path = os.path.join(agent.state, 'migrations', shop.name, 'state.json')
        operation = steps.begin(shop, method)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
                with open(path, encoding='utf-8') as f:
                        text = f.read()
                if f'"step":"{step}"' in text.replace(' ', ''):
                        agent.kill9()
                        time.sleep(0.1)
                        agent.start()
                        return True, operation
                if '"operation":null' in text.replace(' ', '') or shop_is_over(text, operation):
                        return False, operation
        raise TimeoutError(f'step {step} was not seen')


def shop_is_over(text, operation):
        last = json.loads(text).get('last-operation') or {}
        return last.get('id', 0) >= operation


def test_kill_at_each_step(agent, link, pair):
        """The journal's word is as good as a failpoint: each step of the protocol is interrupted right after its intention was written."""
        source, destination = pair
        schemas.create_shop(source, 2000)
        shop = link(source, destination)
        hit = []
        with Workload([source, destination], writers=4, rate=400) as load:
                steps.start(shop)
                for step in STEPS:
                        steps.make_ready(shop)
                        before = shop.get('Phase')
                        method = 'Switch' if before == 'synchronizing' else 'Rollback'
                        killed, operation = kill_at_step(agent, shop, method, step)
                        result, error, _ = shop.finish(operation, 90, check=False)
                        phase = shop.get('Phase')
                        print(f'{method} at {step}: {"killed, " if killed else "not caught, "}{result} {error}, {before} → {phase}')
                        if killed:
                                hit.append(step)
                        assert (result == 'done') == (phase != before)
                        if step in ('release', 'reverse'):
                                assert result == 'done'
                        elif killed and step != 'commit':
                                assert result in ('undone', 'done')     # done: the kill came after the next step's intention
                        writable, closed = (source, destination) if phase == 'synchronizing' else (destination, source)
                        shop.wait(lambda: not steps.write_refused(writable), 60, 'a writable side')
                        assert steps.write_refused(closed)
                        time.sleep(0.3)
                        shop.wait_caught_up()
                        load.pause()
                        equal.wait_equal(source, destination, ['shop'])
                        load.go_on()
                assert len(hit) >= 3, hit
                if shop.get('Phase') == 'synchronizing':
                        steps.make_ready(shop)
                        steps.change_side(shop, 'Switch')
                time.sleep(0.3)
                shop.operate('Complete')
        acknowledged, unknown = load.check(destination)
        print(f'{acknowledged} acknowledged, none lost, none twice; {unknown} unknown')
