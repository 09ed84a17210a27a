# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts that read_only does not stop, at a switch with fence=global: their sessions are ended, those that come back are kept out by a lock until
the commit point; where there is super_read_only it does both."""

import contextlib
import json
import threading

import pymysql
import pytest

import equal
import schemas
import servers
import steps

BOSS = ('boss', 'boss')
SUPER_READ_ONLY = 1290


def over(shop, operation):
        return lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None


def make(agent, source, destination, **options):
        schemas.create_shop(source, 300)
        source.admin('CREATE TABLE shop.log (id INT PRIMARY KEY)')
        shop = steps.create(agent, source, destination, **options)
        steps.start(shop)
        steps.make_ready(shop)
        return shop


def let_in(server):
        server.script(["CREATE USER 'boss'@'%' IDENTIFIED BY 'boss'", "GRANT ALL PRIVILEGES ON *.* TO 'boss'@'%'"])


@pytest.fixture
def sides(pair):
        for server in pair:
                let_in(server)
        yield pair
        for server in pair:
                server.admin("DROP USER 'boss'@'%'")


class Boss:
        """Writes as fast as it can on one server, with all privileges, and comes back whenever it is ended."""

        def __init__(self, server, first=1):
                self.server = server
                self.acknowledged = set()
                self.number = first
                self.ended = 0
                self.stopped = False
                self.thread = threading.Thread(target=self._run, daemon=True)
                self.thread.start()

        def _run(self):
                while not self.stopped:
                        try:
                                with self.server.connect(*BOSS) as c, c.cursor() as cursor:
                                        while not self.stopped:
                                                self.number += 1
                                                cursor.execute('INSERT INTO shop.log VALUES (%s)', (self.number,))
                                                self.acknowledged.add(self.number)
                        except pymysql.err.MySQLError:
                                self.ended += 1

        def stop(self):
                """Once a statement that waits has been answered."""
                self.stopped = True
                self.thread.join(60)
                assert not self.thread.is_alive()


@pytest.fixture
def boss():
        started = []

        def start(*args):
                started.append(Boss(*args))
                return started[-1]
        yield start
        for b in started:
                b.stop()


def logged(server):
        return {row[0] for row in server.admin('SELECT id FROM shop.log')}


def waits_for_the_lock(server):
        """'Waiting for global read lock', 'Waiting for backup lock'."""
        return [row for row in server.admin('SHOW PROCESSLIST') if row[1] == 'boss' and (row[6] or '').endswith(' lock')]


@pytest.mark.parametrize('method', ['Switch', 'Rollback'])
def test_ended(agent, sides, method):
        """Whoever is only connected could write at any moment; the plan says whom that is going to meet."""
        source, destination = sides
        shop = make(agent, source, destination)
        writer = source
        if method == 'Rollback':
                steps.change_side(shop, 'Switch')
                steps.make_ready(shop)
                writer = destination
        with writer.connect(*BOSS) as idle, writer.connect('app', servers.APP_PASSWORD) as plain:
                for c in (idle, plain):
                        c.ping(reconnect=False)
                shop.operate(method, flags=1)
                plan = json.loads(shop.call('GetPlan'))
                assert [(s['id'], s['why']) for s in plan['sessions']] == [(idle.thread_id(), 'past-read-only')]
                idle.ping(reconnect=False)              # nothing was done
                shop.operate(method)
                with pytest.raises(pymysql.err.MySQLError):
                        idle.ping(reconnect=False)
                plain.ping(reconnect=False)


@pytest.mark.parametrize('method', ['Switch', 'Rollback'])
def test_locked_out(held, sides, boss, method):
        """They come back as fast as they are ended: nothing of what they are acknowledged is on the old side alone, and the switch gets through."""
        agent, points = held
        shop = make(agent, *sides)
        if method == 'Rollback':
                steps.change_side(shop, 'Switch')
                steps.make_ready(shop)
        old, new = sides if method == 'Switch' else sides[::-1]
        privileged = boss(old)
        shop.wait(lambda: len(privileged.acknowledged) > 20, 30, 'some rows')
        name = f'{method.lower()}.release.before'
        points.hold(name)
        operation = steps.begin(shop, method)
        points.wait(name, over(shop, operation))
        assert privileged.ended > 0
        shop.wait(lambda: waits_for_the_lock(old), 10, 'a write that waits for the lock')
        assert not steps.write_refused(new) and steps.write_refused(old)
        acknowledged = set(privileged.acknowledged)
        assert acknowledged and acknowledged <= logged(new)
        privileged.stopped = True               # nobody comes back behind the lock
        points.release(name)
        assert shop.finish(operation)[0] == 'done'
        privileged.stop()
        assert privileged.acknowledged == acknowledged <= logged(new)
        assert shop.get('ForeignWrites') == 0
        equal.wait_equal(*sides, ['shop'])


def test_lock_is_taken_away(held, sides, boss):
        """When the switch is undone whoever waited goes on."""
        agent, points = held
        source, destination = sides
        shop = make(agent, source, destination)
        privileged = boss(source)
        points.hold('switch.drain.before')
        operation = steps.begin(shop, 'Switch')
        points.wait('switch.drain.before', over(shop, operation))
        shop.wait(lambda: waits_for_the_lock(source), 10, 'a write that waits for the lock')
        before = len(privileged.acknowledged)
        shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
        points.release('switch.drain.before')
        assert shop.finish(operation, check=False)[0] == 'canceled'
        shop.wait(lambda: len(privileged.acknowledged) > before + 20, 30, 'writes that go on')
        assert not steps.write_refused(source) and steps.write_refused(destination)
        privileged.stop()
        equal.wait_equal(*sides, ['shop'])
        assert privileged.acknowledged <= logged(destination)


@contextlib.contextmanager
def reading(server, statement):
        """A session of an ordinary account that holds a table open, in no transaction: its statement runs for as long as it may."""
        c = server.connect('app', servers.APP_PASSWORD, 'shop')

        def run():
                with contextlib.suppress(pymysql.err.MySQLError), c.cursor() as cursor:
                        cursor.execute(statement)
        thread = threading.Thread(target=run)
        thread.start()
        yield
        with contextlib.suppress(pymysql.err.MySQLError):
                server.admin(f'KILL {c.thread_id()}')
        thread.join()


@contextlib.contextmanager
def locking(server, statement):
        with server.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                cursor.execute(statement)
                yield


@pytest.mark.parametrize('who, table, statement', [(reading, 'aside.old', 'SELECT SLEEP(3600) FROM aside.old'), (locking, 'shop.customers', 'LOCK TABLES customers READ')],
                         ids=['statement', 'lock'])
def test_held_table(agent, sides, boss, who, table, statement):
        """MySQL 5.6 waits for both with its lock, and lets every reader of that table wait behind them, even when it was given up: they are ended."""
        source, destination = sides
        source.script(['CREATE DATABASE aside', 'CREATE TABLE aside.old (id INT PRIMARY KEY) ENGINE=MyISAM', 'INSERT INTO aside.old VALUES (1)',
                       "GRANT SELECT ON aside.* TO 'app'@'%'"])
        shop = make(agent, source, destination, exclude=['aside'])
        boss(source)
        in_use = f"SHOW OPEN TABLES FROM {table.split('.')[0]} WHERE `Table` = '{table.split('.')[1]}' AND In_use > 0"
        with who(source, statement):
                shop.wait(lambda: source.admin(in_use), 30, 'the table in use')
                result = shop.operate('Switch', check=False)
                with source.connect('app', servers.APP_PASSWORD) as c, c.cursor() as cursor:
                        cursor.execute('SET lock_wait_timeout = 10')
                        cursor.execute(f'SELECT COUNT(*) FROM {table}')
        assert result[0] == 'done', result


def test_prepared_meanwhile(held, sides):
        """XA COMMIT gets past the lock when that goes, and past super_read_only at any time."""
        agent, points = held
        source, destination = sides
        shop = make(agent, source, destination)
        points.hold('switch.drain.before')
        operation = steps.begin(shop, 'Switch')
        points.wait('switch.drain.before', over(shop, operation))
        with source.connect() as c, c.cursor() as cursor:
                for sql in ("XA START 'later'", 'INSERT INTO shop.log VALUES (900001)', "XA END 'later'", "XA PREPARE 'later'"):
                        cursor.execute(sql)
                points.release('switch.drain.before')
                assert shop.finish(operation, check=False)[:2] == ('undone', 'CheckFailed')
                cursor.execute("XA COMMIT 'later'")
        shop.wait(lambda: 900001 in logged(destination), 30, 'the row on the other side')


@pytest.mark.parametrize('crash', [False, True])
def test_super_read_only(held, server, crash):
        """MySQL 9.7: nobody needs to be ended, and it is gone when the agent has to write there itself."""
        agent, points = held
        source, destination = server(servers.MySQL56), server(servers.MySQL97)
        for one in (source, destination):
                let_in(one)
        shop = make(agent, source, destination)
        steps.change_side(shop, 'Switch')
        for method, point, result in (('Rollback', 'rollback.drain.before', 'undone'), ('Rollback', 'rollback.release.before', 'done')):
                steps.make_ready(shop)
                with destination.connect(*BOSS) as c, c.cursor() as cursor:
                        c.ping(reconnect=False)
                        points.hold(point)
                        operation = steps.begin(shop, method)
                        points.wait(point, over(shop, operation))
                        with pytest.raises(pymysql.err.MySQLError) as refused:
                                cursor.execute('INSERT INTO shop.log VALUES (1)')
                        assert refused.value.args[0] == SUPER_READ_ONLY
                        if crash:
                                agent.kill9()
                        elif result == 'undone':
                                shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                        points.release(point)
                        if crash:
                                agent.start()
                        got = shop.finish(operation, check=False)
                        assert got[0] == ('canceled' if result == 'undone' and not crash else result), got
                        c.ping(reconnect=False)
                assert destination.variable('super_read_only') == 0
                assert destination.variable('read_only') == (result == 'done')
                assert steps.write_refused(source) == (result != 'done')
        steps.change_side(shop, 'Switch')
        equal.wait_equal(source, destination, ['shop'])
