# SPDX-License-Identifier: LGPL-2.1-or-later
"""The comparison of both sides: interrupted and gone on with, kept within the limits, and with a definite answer about rows that change all
the time. What it finds, and the repair, are in test_operations.py."""

import contextlib
import json
import os
import threading
import time

import pymysql
import pytest

import equal
import schemas
import servers
import steps

ROWS = 40000


def limits(shop, **values):
        shop.call('SetLimits', '(a{sv}t)', {name.replace('_', '-'): value for name, value in values.items()}, 0)


def spoil(server, *statements):
        server.script(['SET sql_log_bin=0', *statements])


def state(agent):
        with open(os.path.join(agent.state, 'migrations', 'shop', 'state.json'), encoding='utf-8') as f:
                return json.load(f)['engine']


def progress(agent):
        """What the state remembers of a comparison that has not ended."""
        text = state(agent)['verification-progress']
        return json.loads(text) if text else None


def begun(agent, operation):
        point = progress(agent)
        return point and point['operation'] == operation and point['rows'] > 0


def create(source):
        source.admin('CREATE DATABASE shop')
        # The key of the second one has text in it, and spaces and quotes in its values.
        source.script([f"CREATE TABLE {name} ({key}, v INT NOT NULL, filler VARCHAR(300), PRIMARY KEY (k)) DEFAULT CHARSET=latin1"
                       for name, key in (('a', 'k INT NOT NULL'), ('b', 'k VARCHAR(40) NOT NULL'))], db='shop')
        for name, key in (('a', 'n'), ('b', "CONCAT('it''s \\\\ ', LPAD(n, 8, '0'), '\\t')")):
                source.script([f"INSERT INTO {name} SELECT {key}, n, REPEAT('x', 300) FROM {schemas.NUMBERS} numbers WHERE n < {ROWS}"], db='shop')
        # The rate counts rows of the average size that the statistics know.
        source.admin('ANALYZE TABLE shop.a, shop.b')


def summary(shop):
        return json.loads(shop.call('GetReport'))['verification']['summary']


def interrupted(agent, shop, upstream, downstream):
        """A Verify that is killed on its way goes on where it was, with what it had found."""
        spoil(downstream, 'UPDATE shop.a SET v = -1 WHERE k = 3', f'UPDATE shop.b SET v = -2 WHERE v = {ROWS - 5}')
        limits(shop, max_copy_rate=2 << 20)
        operation = shop.begin('Verify')
        shop.wait(lambda: begun(agent, operation), 30, 'the first pieces')
        agent.kill9()
        # Found before, and not looked at again: that it is mended is not seen any more.
        spoil(downstream, 'UPDATE shop.a SET v = 3 WHERE k = 3')
        reached = progress(agent)
        assert reached['different'] == 1 and 0 < reached['rows'] < 2 * ROWS, reached
        agent.start()
        began = time.monotonic()
        limits(shop, max_copy_rate=0)
        shop.finish(operation)
        print(f'{reached["rows"]} rows before the restart; {time.monotonic() - began:.1f} s after it')
        assert 'comparing both sides, on from `shop`' in agent.log()
        found = summary(shop)
        assert found['different'] == 2 and found['rows'] == 2 * ROWS, found
        assert shop.get('VerificationState') == 'different' and progress(agent) is None
        # Another one begins at the beginning.
        shop.operate('Verify')
        assert summary(shop)['different'] == 1
        operation = shop.begin('Repair')
        shop.finish(operation)
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'equal'
        equal.wait_equal(upstream, downstream, ['shop'])


def sleep(connection):
        with contextlib.suppress(pymysql.MySQLError):
                connection.cursor().execute('SELECT SLEEP(60)')


def limited(shop, upstream):
        """It stands still while the writer's side is busier than allowed."""
        busy = [upstream.connect() for _ in range(3)]
        try:
                limits(shop, max_source_load=2)
                threads = [threading.Thread(target=sleep, args=(c,), daemon=True) for c in busy]
                for thread in threads:
                        thread.start()
                shop.wait(lambda: int(upstream.admin("SHOW GLOBAL STATUS LIKE 'Threads_running'")[0][1]) > 3, 10, 'the load')
                operation = shop.begin('Verify')
                shop.wait_property('VerificationState', 'running')
                time.sleep(2.5)
                assert shop.get('VerificationState') == 'running'
        finally:
                for c in busy:
                        upstream.admin(f'KILL {c.thread_id()}')
        shop.finish(operation, timeout=60)
        limits(shop, max_source_load=0)
        assert shop.get('VerificationState') == 'equal'


def hot(shop, upstream, downstream):
        """Every answer is definite, though the row changes all the time: equal, or different."""
        stop, counts, failures = threading.Event(), [0, 0], []

        def write(number):
                try:
                        with upstream.connect('app', servers.APP_PASSWORD, 'shop', autocommit=True) as c, c.cursor() as cursor:
                                while not stop.is_set():
                                        cursor.execute('UPDATE a SET v = v + 1 WHERE k = 17')
                                        counts[number] += 1
                except Exception as e:  # pylint: disable=broad-except
                        failures.append(e)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
        for thread in threads:
                thread.start()
        try:
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                # Beside it a row that does differ.
                spoil(downstream, 'UPDATE shop.a SET v = -1 WHERE k = 16')
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'different'
                assert [line for line in summary(shop)['differences'] if '(16)' in line] and summary(shop)['different'] == 1
                shop.operate('Repair')
                before = sum(counts)
                shop.operate('Verify')
                assert shop.get('VerificationState') == 'equal'
                print(f'{sum(counts)} updates of one row, {sum(counts) - before} of them during the last comparison')
        finally:
                stop.set()
                for thread in threads:
                        thread.join()
        assert not failures, failures


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'])
def test_comparison(agent, link, server, kind):
        missing = kind.missing() if hasattr(kind, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind)
        create(source)
        shop = link(source, destination, max_source_load=0)
        steps.start(shop)
        steps.make_ready(shop)
        interrupted(agent, shop, source, destination)
        hot(shop, source, destination)
        if kind is servers.MariaDB:
                limited(shop, source)
        steps.change_side(shop, 'Switch')
        interrupted(agent, shop, destination, source)
        hot(shop, destination, source)
        steps.change_side(shop, 'Rollback')
        equal.wait_equal(source, destination, ['shop'])


def test_own_comparison_goes_on(agent, link, pair):
        """The one that the agent makes by itself outlasts a pause and a restart."""
        source, destination = pair
        create(source)
        shop = link(source, destination, max_copy_rate=5 << 20)      # it begins as soon as all is copied
        shop.operate('Start', flags=1)
        shop.wait_phase('synchronizing')
        limits(shop, max_copy_rate=1 << 20)
        agent.kill9()           # it is due, or has just begun, and nobody has noted how far it is
        agent.start()
        shop.wait(lambda: begun(agent, 0), 30, 'the first pieces')
        shop.call('Pause', '(a{sv}t)', {}, 0)
        shop.wait_property('ReplicationState', 'stopped', 10)
        agent.restart()
        before = progress(agent)
        assert before and before['operation'] == 0 and before['rows'] < 2 * ROWS
        source.admin('UPDATE shop.a SET v = v + 1 WHERE k % 3 = 0')
        shop.call('Resume', '(a{sv}t)', {}, 0)
        limits(shop, max_copy_rate=0)
        shop.wait_property('VerificationState', 'equal', 60)
        assert 'comparing both sides, on from `shop`' in agent.log()
        assert summary(shop)['rows'] == 2 * ROWS
        equal.wait_equal(source, destination, ['shop'])


def in_statement_format(server, sql):
        with server.connect(db='shop') as c, c.cursor() as cursor:
                cursor.execute("SET SESSION binlog_format='STATEMENT'")
                cursor.execute(sql)


# What the destination has otherwise, what happens while the comparison is behind the table, and what it has to find then.
EVENTS = {
        'alter': ('UPDATE shop._first SET v = -1', lambda source: source.admin('alter table shop._first modify v bigint'), 'different'),
        'rename': ('UPDATE shop.z SET v = -1', lambda source: source.admin('RENAME TABLE shop.z TO shop._z'), 'different'),
        'key': ('UPDATE shop._first SET v = -1', lambda source: source.admin('CREATE INDEX v ON shop._first (v)'), 'different'),
        'copied again': (None, lambda source: in_statement_format(source, 'UPDATE _first SET v = 2'), 'equal'),
}


@pytest.mark.parametrize('event', EVENTS)
def test_own_comparison_begins_anew(agent, link, pair, event):
        """What was compared no longer counts when its table is changed, copied again, or another table takes its name."""
        source, destination = pair
        create(source)
        source.script(['CREATE TABLE _first (k INT PRIMARY KEY, v INT)', 'INSERT INTO _first VALUES (1, 1)', 'CREATE TABLE z LIKE _first',
                       'INSERT INTO z SELECT * FROM _first'], db='shop')
        shop = link(source, destination, max_copy_rate=5 << 20)
        shop.operate('Start', flags=1)
        shop.wait_phase('synchronizing')
        limits(shop, max_copy_rate=1 << 20)
        shop.wait(lambda: begun(agent, 0) and progress(agent)['rows'] > 1, 30, 'the second table')
        spoiled, happen, found = EVENTS[event]
        if spoiled:
                spoil(destination, spoiled)
        happen(source)
        shop.wait(lambda: not begun(agent, 0), 30, 'the statement')
        limits(shop, max_copy_rate=0)
        shop.wait(lambda: shop.get('VerificationState') in ('equal', 'different'), 60, 'the comparison')
        assert shop.get('VerificationState') == found
        assert 'on from `shop`' not in agent.log()
        assert summary(shop)['rows'] == 2 * ROWS + 2


def test_killed_behind_a_statement(pair, held):
        """The other side has it in its books, and the agent has not: what was found equal before does not count after a restart."""
        source, destination = pair
        source.script(['CREATE DATABASE shop', 'CREATE TABLE shop.a (k INT PRIMARY KEY, v INT)', 'INSERT INTO shop.a VALUES (1, 1), (2, 2)'])
        agent, points = held
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        shop.wait_property('VerificationState', 'equal', 60)
        spoil(destination, 'UPDATE shop.a SET v = -1 WHERE k = 2')      # as a conversion by other rules would
        points.hold('ddl.finish.after')
        source.admin('ALTER TABLE shop.a MODIFY v BIGINT')
        points.wait('ddl.finish.after')
        agent.kill9()
        points.release('ddl.finish.after')
        assert state(agent)['verification'] == 'none'
        agent.start()
        shop.wait(lambda: shop.get('VerificationState') in ('equal', 'different'), 60, 'the comparison')
        assert shop.get('VerificationState') == 'different'


@pytest.mark.parametrize('key', ['PRIMARY KEY (id)', 'KEY (id)'], ids=['in-chunks', 'in-one'])
def test_rate_counts_every_table(link, pair, key):
        """Also those that are small, and those that are read at once because they have no key."""
        source, destination = pair
        source.admin('CREATE DATABASE shop')
        for name in 'abcd':
                source.script([f'CREATE TABLE {name} (id INT NOT NULL, filler CHAR(200) NOT NULL, {key})',
                               f"INSERT INTO {name} SELECT n, REPEAT('x', 200) FROM {schemas.NUMBERS} numbers WHERE n < 5000", f'ANALYZE TABLE {name}'], db='shop')
        shop = link(source, destination)
        steps.start(shop)
        shop.wait_property('VerificationState', 'equal', 60)
        limits(shop, max_copy_rate=1 << 18)             # a table takes 4 s, and nobody waits for the last one
        began = time.monotonic()
        shop.operate('Verify')
        assert time.monotonic() - began > 6
        assert shop.get('VerificationState') == 'equal'
