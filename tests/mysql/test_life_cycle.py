# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole way: start, switch, rollback, switch, complete, with clients that write all the time."""

import json
import time

import pytest

import equal
import schemas
import servers
import steps
from agent import BusError
from workload import Workload

MEMORY_LIMIT = 256 << 20


def quiet(load, a, b, title):
        """A quiet point: nobody writes, and both sides hold the same bytes."""
        load.pause()
        checked = {}
        equal.wait_equal(a, b, ['shop'], 60, checked)
        print(f'{title}: {load.acknowledged} transactions acknowledged, {sum(checked.values())} rows byte-equal')
        load.go_on()


def check_account(shop, reported):
        """What the certificate says of the interruption: its parts, and that only what the last moment changed was compared in it, however
        long people have been writing. A machine that is busy may not get through all of it while the time behind the fence lasts."""
        told = json.loads(shop.call('GetReport'))
        parts, final = told['interruption'], told['final_check']
        print({name: round(seconds, 3) for name, seconds in parts.items()}, final)
        assert {'fence', 'journal', 'drain', 'final-check', 'reverse-start', 'owner', 'open'} <= set(parts)
        assert sum(parts.values()) == pytest.approx(reported, abs=1e-3)
        assert final['keys_behind_fence'] <= 3000 + final['keys'] // 10 and all(left['why'].endswith('was up') for left in final['not_compared'])


def whole_life(agent, link, source, destination, customers, run, sides=('Switch', 'Rollback', 'Switch')):
        rows = schemas.create_shop(source, customers, foreign_keys=True)
        shop = link(source, destination)
        with Workload([source, destination], writers=4) as load:
                print(f'{rows} rows, seed {load.seed}')
                time.sleep(0.5)
                began = time.monotonic()
                shop.operate('Start', flags=1)
                assert destination.variable('read_only') == 1
                shop.wait_phase('synchronizing', 180)
                print(f'copied after {time.monotonic() - began:.1f} s')
                shop.wait_caught_up(180)
                quiet(load, source, destination, 'synchronizing')
                assert steps.write_refused(destination) and not steps.write_refused(source)
                for n, method in enumerate(sides):
                        time.sleep(run)
                        reported = steps.change_side(shop, method)
                        check_account(shop, reported)
                        open_side, closed_side = ((destination, source) if method == 'Switch'
                                                  else (source, destination))
                        assert steps.write_refused(closed_side) and not steps.write_refused(open_side)
                        time.sleep(run)
                        quiet(load, source, destination, f'after {method}')
                        seen = load.switches()
                        assert len(seen) == n + 1, f'the clients saw {seen}'
                        print(f'{method}: write interruption {reported:.3f} s reported, {seen[-1][2]:.3f} s as the '
                              'clients see it')
                        assert 0 < reported < 25 and seen[-1][2] < 30
                assert agent.memory_high_water() < MEMORY_LIMIT
                time.sleep(run)
                shop.operate('Complete')
                assert shop.get('Phase') == 'completed'
                assert steps.write_refused(source) and not steps.write_refused(destination)
                time.sleep(0.3)
        acknowledged, unknown = load.check(destination)
        print(f'{acknowledged} acknowledged transactions are there, none twice; {unknown} unknown ones')
        assert acknowledged > 100
        for server in (source, destination):
                assert not server.admin("SHOW DATABASES LIKE 'polarshift'"), 'our own tables are left'
        return shop


def test_mysql_to_mariadb(agent, link, pair):
        shop = whole_life(agent, link, *pair, customers=20000, run=2)
        shop.call('Remove', '(a{sv}t)', {}, 0)
        assert agent.manager.call('ListMigrations') == []


def test_mysql_to_mysql(agent, link, server):
        source, destination = server(servers.MySQL56), server(servers.MySQL56)
        whole_life(agent, link, source, destination, customers=3000, run=0.7)


def test_memory_stays_bounded(agent, link, pair):
        """Rows of many sizes, a table much larger than what the agent may hold."""
        source, destination = pair
        source.admin('CREATE DATABASE big')
        source.admin('CREATE TABLE big.t (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)')
        with source.connect('app', servers.APP_PASSWORD, 'big') as c, c.cursor() as cursor:
                cursor.execute("INSERT INTO t (body) VALUES (REPEAT('x', 100000))")
                for _ in range(11):
                        cursor.execute('INSERT INTO t (body) SELECT CONCAT(body, id) FROM t')   # 2048 × 100 kB
                cursor.execute("INSERT INTO t (body) VALUES (REPEAT('y', 11000000))")
                small = link(source, destination)
                steps.start(small)
                # And one transaction of 150 MB through the stream
                cursor.execute('UPDATE t SET body = CONCAT(body, 1) WHERE id < 1500')
        equal.wait_equal(source, destination, ['big'], 120)
        high = agent.memory_high_water()
        print(f'agent: {high >> 20} MiB at most')
        assert high < MEMORY_LIMIT


def test_pause_and_resume(link, pair, agent):
        source, destination = pair
        schemas.create_shop(source, 2000)
        shop = link(source, destination)
        with Workload([source], writers=2, rate=300) as load:
                steps.start(shop)
                shop.call('Pause', '(a{sv}t)', {}, 0)
                assert shop.get('Paused')
                began = time.monotonic()
                shop.wait_property('ReplicationState', 'stopped', 10)
                print(f'stopped {time.monotonic() - began:.1f} s after Pause')
                before = None

                def settled():                  # what was sent before that the server may commit a moment later
                        nonlocal before
                        last, before = before, destination.scalar('SELECT COUNT(*) FROM shop.ledger')
                        time.sleep(0.5)
                        return last == before
                shop.wait(settled, 30, 'the last commit')
                time.sleep(1.5)
                assert destination.scalar('SELECT COUNT(*) FROM shop.ledger') == before
                with pytest.raises(BusError) as refused:
                        shop.begin('Switch')
                assert refused.value.short == 'InvalidPhase', refused.value
                agent.restart()                 # a pause outlasts the agent
                assert shop.get('Paused')
                shop.call('Resume', '(a{sv}t)', {}, 0)
                shop.wait_caught_up()
                load.pause()
                equal.wait_equal(source, destination, ['shop'])
                load.go_on()
        load.check(source)


def test_pause_while_copying(link, pair):
        source, destination = pair
        schemas.create_shop(source, 20000)
        shop = link(source, destination, max_copy_rate=64 << 10)
        shop.operate('Start', flags=1)
        shop.wait(lambda: shop.get('RowsCopied') > 0, 60, 'the first rows')
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.wait_property('ReplicationState', 'stopped')
        copied = shop.get('RowsCopied')
        time.sleep(1)
        assert shop.get('RowsCopied') == copied and shop.get('Phase') == 'copying'
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait_phase('synchronizing')
        equal.wait_equal(source, destination, ['shop'])


@pytest.mark.parametrize('moment', ['created', 'copying', 'synchronizing'])
def test_cancel(link, pair, moment):
        """The link ends, both sides are left writable, and nothing of ours is left behind."""
        source, destination = pair
        schemas.create_shop(source, 2000 if moment != 'copying' else 20000)
        shop = link(source, destination, max_copy_rate=0 if moment != 'copying' else 64 << 10)
        if moment == 'copying':
                shop.operate('Start', flags=1)
                assert shop.get('Phase') == 'copying'
        if moment == 'synchronizing':
                steps.start(shop)
        first = shop.begin('Cancel')
        shop.finish(first)
        assert shop.get('Phase') == 'canceled'
        assert shop.begin('Cancel') == first
        for server in pair:
                assert server.variable('read_only') == 0
                assert not server.admin("SHOW DATABASES LIKE 'polarshift'")
        assert not steps.write_refused(source)
        if moment == 'synchronizing':
                assert not steps.write_refused(destination)
                assert equal.compare(source, destination, ['shop']) == []
        shop.call('Remove', '(a{sv}t)', {}, 0)


def test_complete_twice(link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        with pytest.raises(BusError) as refused:
                shop.begin('Complete')
        assert refused.value.short == 'InvalidPhase'
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        first = shop.begin('Complete')
        shop.finish(first)
        assert shop.begin('Complete') == first
        assert steps.write_refused(source) and not steps.write_refused(destination)


def expire_in(shop, seconds):
        """Not an expire-after of a few seconds from the start: a busy machine may not come to the end of a copy in them."""
        synchronizing = shop.get('ExpiresAt') / 1e6 - 3600
        assert time.time() - 600 < synchronizing <= time.time()
        shop.call('SetLimits', '(a{sv}t)', {'expire-after': int(time.time() - synchronizing) + seconds}, 0)


def test_expiry_before_the_switch(link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination, expire_after=3600)
        steps.start(shop)
        expire_in(shop, 3)
        shop.wait_property('Phase', 'canceled')
        assert shop.get('PhaseReason') == 'expired'
        assert not steps.write_refused(source) and not steps.write_refused(destination)
        assert source.variable('log_bin') == 1 and destination.variable('log_bin') == 1


def test_expiry_after_the_switch(link, pair, agent):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination, expire_after=3600)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        expire_in(shop, 10)
        agent.stop()                            # it passes while the agent is away
        time.sleep(11)
        agent.start()
        shop.wait(lambda: shop.get('PhaseReason') == 'expired-switched', 30, 'the expiry')
        assert steps.write_refused(source) and not steps.write_refused(destination)


def test_dry_run_changes_nothing(link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        shop.operate('Switch', flags=1)
        assert shop.get('Phase') == 'synchronizing'
        assert not steps.write_refused(source) and steps.write_refused(destination)
