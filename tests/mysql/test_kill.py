# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of the agent at random moments of copying, synchronizing and switching.

$POLARSHIFT_TEST_KILLS: how many (default 6). $POLARSHIFT_TEST_SEED: the seed that an earlier run printed."""

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
        try:
                shop.begin(method)
        except BusError as e:
                if e.name not in GONE:
                        raise
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
        with Workload([source, destination], writers=4, rate=600, seed=SEED) as load:
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
