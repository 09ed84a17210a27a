# SPDX-License-Identifier: LGPL-2.1-or-later
"""A side is lost, and its standby promoted, with other log files."""

import json
import os
import time

import pytest

import equal
import schemas
import servers
import steps
from workload import Workload


def uri(*hosts):
        return 'mysql://agent@' + ','.join(f'127.0.0.1:{h.port}' for h in hosts) + '/?ssl-mode=disabled'


def link_failed(shop, name, timeout=40):
        shop.wait_property('ReplicationState', 'failed', timeout)
        error, message = shop.get('LastError')
        assert error.rsplit('.', 1)[-1] == name, (error, message)
        print(message)
        return message


def lose(primary, standby, load):
        """The primary is gone, all that it acknowledged is on its standby, which is promoted."""
        load.pause()
        servers.wait_standby(primary, standby)
        primary.kill9()
        servers.promote(standby)


def known_gtids(server):
        """What the checkpoints of the last direction say was executed."""
        name = server.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'ckpt%'")
        return server.scalar(f'SELECT gtids FROM polarshift.{name} WHERE w < 1000 ORDER BY leg DESC, seq DESC LIMIT 1').decode()


def other_files(primary, standby):
        """So that no place in one log means anything in the other."""
        for _ in range(3):
                standby.admin('FLUSH BINARY LOGS')
        for _ in range(40):
                primary.admin("UPDATE shop.products SET title = CONCAT(LEFT(title, 40), 'x') WHERE id = 1")


def with_standbys(agent, server, kind):
        """(source, its standby, destination, its standby, a migration that knows all four)."""
        if kind is servers.MySQL97 and kind.missing():
                pytest.skip(kind.missing())
        a, a2, b, b2 = server(servers.MySQL56), server(servers.MySQL56), server(kind), server(kind)
        servers.replicate(a, a2)
        servers.replicate(b, b2)
        schemas.create_shop(a, 400)
        other_files(a, a2)
        return a, a2, b, b2, steps.create(agent, uri(a, a2), uri(b, b2))


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97])
def test_both_directions(agent, server, kind):
        """Forward and in reverse; with everything settled, and with checkpoints that differ because the agent was
        killed, too."""
        a, a2, b, b2, shop = with_standbys(agent, server, kind)
        with Workload([a, a2, b, b2], writers=3, rate=150) as load:
                steps.start(shop)
                steps.make_ready(shop)
                time.sleep(1)
                lose(a, a2, load)
                load.go_on()
                shop.wait(lambda: 'failed over' in agent.log(), 40, 'the fail-over')
                steps.make_ready(shop)
                load.pause()
                equal.wait_equal(a2, b, ['shop'])
                load.go_on()
                steps.change_side(shop, 'Switch')
                if kind is servers.MySQL97:             # a number with a tag, among others
                        for _ in range(3):
                                b.script(["SET gtid_next = 'AUTOMATIC:blue'", 'UPDATE shop.stock SET quantity = quantity + 1'])
                time.sleep(1)
                servers.wait_standby(b, b2)
                agent.kill9()                           # workers at different transactions, and nobody to settle them
                time.sleep(1)
                lose(b, b2, load)
                load.go_on()
                agent.start()
                shop.wait(lambda: agent.log().count('failed over') == 2, 40, 'the second fail-over')
                shop.wait_caught_up()
                load.pause()
                if kind is servers.MySQL97:
                        assert ':blue:1-3' in known_gtids(a2)
                equal.wait_equal(a2, b2, ['shop'])
                load.go_on()
                steps.change_side(shop, 'Rollback')
                time.sleep(0.5)
                load.pause()
                equal.wait_equal(a2, b2, ['shop'])
        load.check(a2)
        for closed in (b2,):
                assert steps.write_refused(closed)


def test_during_the_comparison(agent, server):
        """What was compared with the lost server says nothing of its standby, which may have drifted: the comparison begins anew."""
        a, a2, b = server(servers.MySQL56), server(servers.MySQL56), server(servers.MariaDB)
        servers.replicate(a, a2)
        a.script(['CREATE DATABASE shop', 'CREATE TABLE shop.a (k INT PRIMARY KEY, v INT)', 'INSERT INTO shop.a VALUES (1, 1)',
                  'CREATE TABLE shop.b (k INT PRIMARY KEY, filler VARCHAR(300))',
                  f"INSERT INTO shop.b SELECT n, REPEAT('x', 300) FROM {schemas.NUMBERS} numbers WHERE n < 40000", 'ANALYZE TABLE shop.b'])
        shop = steps.create(agent, uri(a, a2), uri(b), max_copy_rate=5 << 20)
        shop.operate('Start', flags=1)
        shop.wait_phase('synchronizing')
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 1 << 20}, 0)

        def reached():
                with open(os.path.join(agent.state, 'migrations', 'shop', 'state.json'), encoding='utf-8') as f:
                        text = json.load(f)['engine']['verification-progress']
                return text and json.loads(text)['rows'] > 1
        shop.wait(reached, 30, 'the second table')
        servers.wait_standby(a, a2)
        a2.script(['SET sql_log_bin=0', 'UPDATE shop.a SET v = -1'])
        a.kill9()
        servers.promote(a2)
        shop.wait(lambda: 'failed over' in agent.log(), 40, 'the fail-over')
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.wait(lambda: shop.get('VerificationState') in ('equal', 'different'), 60, 'the comparison')
        assert shop.get('VerificationState') == 'different'


def test_while_copying(agent, server):
        """A standby is left alone until it is promoted; then the copy goes on from it."""
        a, a2, b = server(servers.MySQL56), server(servers.MySQL56), server(servers.MariaDB)
        servers.replicate(a, a2)
        schemas.create_shop(a, 4000)
        other_files(a, a2)
        shop = steps.create(agent, uri(a, a2), uri(b), max_copy_rate=16 << 10)     # 2 MB: it copies until it is let go
        with Workload([a, a2], writers=2, rate=100) as load:
                shop.operate('Start', flags=1)
                shop.wait(lambda: shop.get('RowsCopied') > 1000, 30, 'the first rows')
                load.pause()
                servers.wait_standby(a, a2)
                a.kill9()
                shop.wait(lambda: 'not promoted' in shop.get('LastError')[1], 30, 'a look at the standby')
                assert shop.get('LastError')[0].endswith('SourceUnreachable')
                assert shop.get('Phase') == 'copying' and shop.get('ReplicationState') == 'retrying'
                assert a2.variable('read_only') == 1
                servers.promote(a2)
                load.go_on()
                shop.wait(lambda: 'failed over' in agent.log(), 40, 'the fail-over')
                shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
                shop.wait_phase('synchronizing')
                steps.make_ready(shop)
                a.start()                               # the old one is back, and nobody's business any more
                agent.restart()
                shop.wait_caught_up()
                a.admin('UPDATE shop.products SET price = price + 1')
                load.pause()
                equal.wait_equal(a2, b, ['shop'])
        load.check(a2)


@pytest.mark.parametrize('gtid', [True, False], ids=['gtid', 'no-gtid'])
def test_standby_that_cannot_take_over(agent, server, gtid):
        """It lacks what we have; or nothing says where its log stands."""
        config = [] if gtid else ['skip:gtid_mode', 'skip:enforce-gtid-consistency']
        a, a2, b = server(servers.MySQL56, config=config), server(servers.MySQL56, config=config), server(servers.MariaDB)
        servers.replicate(a, a2, gtid)
        schemas.create_shop(a, 300)
        shop = steps.create(agent, uri(a), uri(b))
        steps.start(shop)
        servers.wait_standby(a, a2)
        if gtid:
                a2.admin('STOP SLAVE')
        a.script(['UPDATE shop.products SET price = price + 1'] * 3)
        equal.wait_equal(a, b, ['shop'])
        lost = a.scalar('SELECT @@global.gtid_executed') if gtid else None
        a.kill9()
        servers.promote(a2)
        a2.admin('UPDATE shop.products SET price = price + 2')
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.call('SetEndpoint', '(ssa{sv}t)', 'source', uri(a2), {}, 0)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        message = link_failed(shop, 'BinlogUnavailable')
        assert (lost.split('-')[-1] in message and 'promoted without' in message) if gtid else 'gtid_mode=ON' in message
        before = b.scalar('SELECT SUM(price) FROM shop.products')
        agent.restart()
        link_failed(shop, 'BinlogUnavailable')
        assert b.scalar('SELECT SUM(price) FROM shop.products') == before
        shop.call('Pause', '(a{sv}t)', {}, 0)           # the old one is still good
        a.start()
        shop.call('SetEndpoint', '(ssa{sv}t)', 'source', uri(a), {}, 0)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait_caught_up()
        equal.wait_equal(a, b, ['shop'])


def test_applied_while_the_standby_is_looked_at(agent, server):
        """A worker of an agent that was killed had sent its COMMIT of what the standby lacks: the standby is not taken for lack of it."""
        a, a2, b = server(servers.MySQL56), server(servers.MySQL56), server(servers.MariaDB)
        servers.replicate(a, a2)
        schemas.create_shop(a, 300)
        shop = steps.create(agent, uri(a, a2), uri(b), apply_threads=1)
        steps.start(shop)
        steps.make_ready(shop)
        agent.stop()
        servers.wait_standby(a, a2)
        a2.admin('STOP SLAVE')
        a.admin('UPDATE shop.products SET price = price + 1 WHERE id = 1')
        with b.connect(user='agent', password=servers.AGENT_PASSWORD) as worker, worker.cursor() as cursor:
                table = b.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'ckpt%'")
                cursor.execute('BEGIN')
                executed = a.scalar('SELECT @@global.gtid_executed')
                cursor.execute(f'UPDATE polarshift.{table} SET seq = seq + 1000, gtids = %s WHERE leg = 1 AND w = 0', (executed,))
                cursor.execute('UPDATE shop.products SET price = price + 1 WHERE id = 1')
                a.kill9()
                servers.promote(a2)
                agent.start()
                time.sleep(4)
                assert 'failed over' not in agent.log()
                cursor.execute('COMMIT')
                assert 'promoted without' in link_failed(shop, 'BinlogUnavailable')
        assert 'failed over' not in agent.log()


def hold_switch(shop, points, point):
        points.hold(point)
        operation = steps.begin(shop, 'Switch')
        points.wait(point)
        return operation


@pytest.mark.parametrize('killed', [True, False], ids=['agent-killed', 'agent-waits'])
def test_in_the_middle_of_a_switch(held, server, killed):
        """The side that is left is lost behind its fence: undone, on its standby. The new side is lost right behind its owner row, perhaps the agent
        with it: finished, on its standby."""
        agent, points = held
        a, a2, b, b2, shop = with_standbys(agent, server, servers.MariaDB)
        with Workload([a, a2, b, b2], writers=3, rate=100) as load:
                steps.start(shop)
                steps.make_ready(shop)
                operation = hold_switch(shop, points, 'switch.fence.after')
                servers.wait_standby(a, a2)
                a.kill9()
                servers.promote(a2)
                points.release('switch.fence.after')
                result, _, message = shop.finish(operation, check=False)
                assert result == 'undone' and shop.get('Phase') == 'synchronizing', (result, message)
                shop.wait(lambda: 'failed over' in agent.log(), 60, 'the fail-over')
                steps.make_ready(shop)
                assert steps.write_refused(b)
                load.pause()
                equal.wait_equal(a2, b, ['shop'])
                load.go_on()
                operation = hold_switch(shop, points, 'switch.owner.after')
                servers.wait_standby(b, b2)
                if killed:
                        agent.kill9()
                b.kill9()
                points.release('switch.owner.after')
                servers.promote(b2)
                if killed:
                        agent.start()
                assert shop.finish(operation)[0] == 'done' and shop.get('Phase') == 'switched'
                steps.make_ready(shop)
                assert steps.write_refused(a2)
                time.sleep(0.5)
                load.pause()
                equal.wait_equal(a2, b2, ['shop'])
                load.go_on()
        load.check(b2)


def test_in_the_middle_of_a_rollback(held, server):
        """From MySQL 9.7, where nobody can write on the side that is left until it is released, the agent neither (super_read_only)."""
        agent, points = held
        a, a2, b, _, shop = with_standbys(agent, server, servers.MySQL97)
        with Workload([a, a2, b], writers=3, rate=100) as load:
                steps.start(shop)
                steps.change_side(shop, 'Switch')
                steps.make_ready(shop)
                points.hold('rollback.owner.after')
                operation = steps.begin(shop, 'Rollback')
                points.wait('rollback.owner.after')
                servers.wait_standby(a, a2)
                a.kill9()
                points.release('rollback.owner.after')
                servers.promote(a2)
                assert shop.finish(operation)[0] == 'done' and shop.get('Phase') == 'synchronizing'
                assert b.variable('super_read_only') == 0 and steps.write_refused(b)
                time.sleep(0.5)
                load.pause()
                equal.wait_equal(a2, b, ['shop'])
                load.go_on()
        load.check(a2)


@pytest.mark.parametrize('killed', [True, False], ids=['agent-killed', 'agent-waits'])
def test_before_the_owner_row(held, server, killed):
        """The new side is lost at the commit point: its standby has no owner row, so the old side takes writes again."""
        agent, points = held
        a, b, b2 = server(servers.MySQL56), server(servers.MariaDB), server(servers.MariaDB)
        servers.replicate(b, b2)
        schemas.create_shop(a, 300)
        shop = steps.create(agent, uri(a), uri(b, b2))
        with Workload([a, b], writers=2, rate=100) as load:
                steps.start(shop)
                steps.make_ready(shop)
                operation = hold_switch(shop, points, 'switch.owner.before')
                servers.wait_standby(b, b2)
                b.kill9()
                b2.script(['STOP SLAVE', 'RESET SLAVE ALL'])    # and closed it stays
                if killed:
                        agent.kill9()
                points.release('switch.owner.before')
                if killed:
                        agent.start()
                result, _, message = shop.finish(operation, check=False)
                assert result == 'undone', (result, message)
                steps.make_ready(shop)
                assert steps.write_refused(b2) and not steps.write_refused(a)
                load.pause()
                equal.wait_equal(a, b2, ['shop'])
        load.check(a)


@pytest.mark.parametrize('gtid', [True, False], ids=['gtid', 'no-gtid'])
def test_behind_the_commit_point(held, server, gtid):
        """The side that was left is lost before anything is applied to it: its standby has to hold all that it was left with, which GTIDs tell."""
        agent, points = held
        config = [] if gtid else ['skip:gtid_mode', 'skip:enforce-gtid-consistency']
        a, a2, b = server(servers.MySQL56, config=config), server(servers.MySQL56, config=config), server(servers.MariaDB)
        servers.replicate(a, a2, gtid)
        schemas.create_shop(a, 300)
        other_files(a, a2)
        shop = steps.create(agent, uri(a, a2), uri(b))
        with Workload([a, b, a2], writers=2, rate=100) as load:
                steps.start(shop)
                steps.make_ready(shop)
                operation = hold_switch(shop, points, 'switch.release.before')
                servers.wait_standby(a, a2)
                a.kill9()
                a2.script(['STOP SLAVE', 'RESET SLAVE ALL'] + (['SET GLOBAL read_only=0'] if gtid else []))
                points.release('switch.release.before')
                if not gtid:
                        shop.wait(lambda: shop.get('LastError')[0].endswith('DataMismatch'), 60, 'the refusal')
                        assert 'lacks the beginning' in shop.get('LastError')[1] and not a2.admin('SHOW SLAVE STATUS')
                        a.config = ['read_only=1']
                        a.start()
                assert shop.finish(operation)[0] == 'done' and shop.get('Phase') == 'switched'
                steps.make_ready(shop)
                old = a2 if gtid else a
                assert steps.write_refused(old)
                load.pause()
                equal.wait_equal(b, old, ['shop'])
                load.go_on()
                steps.change_side(shop, 'Rollback')
                assert steps.write_refused(b)
        load.check(old)


def lose_with_its_end(primary, standby, shop, load):
        """The primary is gone, and what was applied to it last is not on its standby."""
        word = 'REPLICA' if standby.flavor == 'mysql97' else 'SLAVE'
        standby.admin(f'STOP {word}')
        before = shop.get('TransactionsApplied')
        shop.wait(lambda: shop.get('TransactionsApplied') > before + 100, 30, 'transactions that are lost')
        primary.kill9()
        servers.promote(standby)
        return load


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97])
def test_side_that_takes_no_writes(agent, server, kind):
        """In both directions, under load. The lost end is sent again, the standby is closed, and the way back is proven anew."""
        a, a2, b, b2, shop = with_standbys(agent, server, kind)
        with Workload([a, a2, b, b2], writers=3, rate=150) as load:
                steps.start(shop)
                steps.make_ready(shop)
                lose_with_its_end(b, b2, shop, load)
                shop.wait(lambda: 'failed over' in agent.log(), 60, 'the fail-over')
                steps.make_ready(shop)
                assert b2.variable('read_only') == 1 and steps.write_refused(b2) and shop.get('ForeignWrites') == 0
                load.pause()
                equal.wait_equal(a, b2, ['shop'])
                load.go_on()
                steps.change_side(shop, 'Switch')
                servers.wait_standby(a, a2)             # the beginning of this direction, that is: no way back without it
                lose_with_its_end(a, a2, shop, load)
                shop.wait(lambda: agent.log().count('failed over') == 2, 60, 'the second fail-over')
                steps.make_ready(shop)
                assert a2.variable('read_only') == 1 and steps.write_refused(a2)
                steps.change_side(shop, 'Rollback')
                time.sleep(0.5)
                load.pause()
                equal.wait_equal(a2, b2, ['shop'])
                load.go_on()
        load.check(a2)
        assert steps.write_refused(b2)


def test_standby_without_the_copy(agent, server):
        """What was copied is not sent again: a standby that lacks it is not taken, and the old one still is."""
        a, b, b2 = server(servers.MySQL56), server(servers.MariaDB), server(servers.MariaDB)
        servers.replicate(b, b2)
        schemas.create_shop(a, 2000)
        shop = steps.create(agent, uri(a), uri(b), max_copy_rate=16 << 10)
        shop.operate('Start', flags=1)
        shop.wait(lambda: shop.get('RowsCopied') > 100, 30, 'the first rows')
        servers.wait_standby(b, b2)
        b2.admin('STOP SLAVE')
        shop.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)
        shop.wait_phase('synchronizing')
        steps.make_ready(shop)
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.call('SetEndpoint', '(ssa{sv}t)', 'destination', uri(b2), {}, 0)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait(lambda: 'not promoted' in shop.get('LastError')[1], 30, 'a look at a standby whose replication stands')
        servers.promote(b2)
        link_failed(shop, 'DataMismatch')
        assert b2.scalar('SELECT COUNT(*) FROM polarshift.owner') == 1
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.call('SetEndpoint', '(ssa{sv}t)', 'destination', uri(b), {}, 0)
        shop.call('Resume', '(a{sv}t)', {}, 0)
        shop.wait_caught_up()
        equal.wait_equal(a, b, ['shop'])
