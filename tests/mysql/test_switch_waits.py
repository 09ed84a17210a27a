# SPDX-License-Identifier: LGPL-2.1-or-later
"""A switch that meets somebody who holds it up: it ends in time, and the source takes writes again."""

import contextlib
import json
import selectors
import socket
import threading
import time

import pymysql
import pytest

import equal
import proxy
import schemas
import servers
import steps
from agent import BusError

COM_BINLOG_DUMP = b'\x12'


def test_lock_tables(held, pair):
        """read_only waits for LOCK TABLES … WRITE of others: seen in the guard; behind it not waited for beyond the deadline."""
        agent, points = held
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('CREATE TABLE shop.locked (id INT PRIMARY KEY)')
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as holder, holder.cursor() as cursor:
                cursor.execute('LOCK TABLES locked READ')
                assert shop.operate('Switch', flags=1)[0] == 'done'
                cursor.execute('LOCK TABLES locked WRITE')
                result, name, message = shop.operate('Switch', check=False)
                assert (result, name) == ('failed', 'CheckFailed') and '`shop`.`locked`' in message, (result, name, message)
                cursor.execute('UNLOCK TABLES')
                points.hold('switch.fence.before')
                operation = steps.begin(shop, 'Switch', {'deadline': 3.0})
                points.wait('switch.fence.before')
                cursor.execute('LOCK TABLES locked WRITE')
                points.release('switch.fence.before')
                began = time.monotonic()
                result, name, message = shop.finish(operation, check=False)
                took = time.monotonic() - began
                print(f'{result} {name} {message} after {took:.1f} s')
                assert result == 'undone' and name == 'DeadlineExceeded'
                assert took < 40
                assert not steps.write_refused(source)
        assert shop.get('Phase') == 'synchronizing'
        steps.change_side(shop, 'Switch')


@pytest.mark.parametrize('method', ['Switch', 'Rollback'])
def test_long_statement(agent, pair, method):
        """Whom read_only would wait for is seen in the guard: a long statement, somebody who waits for LOCK TABLES. One that only reads is not in the way."""
        schemas.create_shop(pair[0], 300)
        shop = steps.create(agent, *pair)
        steps.start(shop)
        writer = pair[0]
        if method == 'Rollback':
                steps.change_side(shop, 'Switch')
                writer = pair[1]
        steps.make_ready(shop)
        for statement, refused in (('/* app */ UPDATE products SET price = price + SLEEP(3600) WHERE id = 1', True), ('SELECT price FROM products', True),
                                   ('SELECT SLEEP(3600)', False)):
                with contextlib.ExitStack() as stack:
                        if 'price FROM' in statement:
                                c = stack.enter_context(writer.connect('app', servers.APP_PASSWORD, 'shop'))
                                stack.enter_context(c.cursor()).execute('LOCK TABLES products WRITE')
                        busy = writer.connect('app', servers.APP_PASSWORD, 'shop')

                        def run(busy=busy, statement=statement):
                                with contextlib.suppress(pymysql.err.MySQLError), busy.cursor() as cursor:
                                        cursor.execute(statement)
                        thread = threading.Thread(target=run)
                        thread.start()
                        try:
                                time.sleep(6)
                                result, name, message = shop.operate(method, flags=1, check=False)
                                assert (result, name) == (('failed', 'CheckFailed') if refused else ('done', '')), message
                                assert not refused or f'session {busy.thread_id()} ' in message
                        finally:
                                writer.admin(f'KILL {busy.thread_id()}')
                                thread.join()
        steps.change_side(shop, method)


def test_long_transaction(held, server, monkeypatch):
        """Seen in the guard, before it costs anybody anything; by how long it has been open, wherever on Earth its server is."""
        agent, points = held
        monkeypatch.setenv('TZ', 'Asia/Tokyo')
        source = server(servers.MySQL56)
        monkeypatch.setenv('TZ', 'America/New_York')
        destination = server(servers.MariaDB)
        monkeypatch.delenv('TZ')
        schemas.create_shop(source, 300)
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        for method, writer in (('Switch', source), ('Rollback', destination)):
                steps.make_ready(shop)
                with writer.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                        cursor.execute('BEGIN')
                        cursor.execute('UPDATE stock SET quantity = quantity + 1 WHERE product_id = 1')
                        time.sleep(2)
                        shop.operate(method, flags=1)
                        assert 1 <= json.loads(shop.call('GetPlan'))['oldest-transaction-seconds'] <= 60
                        points.limit('long-transaction', 1)
                        result, name, message = shop.operate(method, check=False)
                        assert (result, name) == ('failed', 'CheckFailed') and 'has been open for' in message, message
                        c.ping(reconnect=False)
                        shop.operate(method, {'kill-sessions': True}, flags=1)
                        cursor.execute('COMMIT')
                steps.change_side(shop, method)
                points.limit('long-transaction', 60)
        equal.wait_equal(source, destination, ['shop'])


class Deaf(proxy.Proxy):
        """A cable through which no binary log comes while it is told so; all else does."""
        deaf = False

        def __init__(self, port):
                self.dumps = set()
                super().__init__(port)

        def stop_dumps(self, deaf):
                self._tell(deaf=deaf)

        def _register(self, selector, cut):
                super()._register(selector, cut)
                for client in self.dumps & set(self.pairs) if self.deaf else ():
                        with contextlib.suppress(KeyError):
                                selector.unregister(self.pairs[client][1].source)

        def _move(self, client, s, events):
                if s is client and events & selectors.EVENT_READ:
                        with contextlib.suppress(OSError):
                                if s.recv(5, socket.MSG_PEEK)[4:] == COM_BINLOG_DUMP:
                                        self.dumps.add(client)
                super()._move(client, s, events)


def test_way_back_that_is_broken(agent, pair):
        """A canary that cannot be written, on either side, or that does not come out of the log: the switch is refused, and nobody had to wait."""
        source, destination = pair
        schemas.create_shop(source, 300)
        for server in pair:
                server.admin('SET GLOBAL innodb_lock_wait_timeout = 1')
        with Deaf(destination.port) as cable:
                for side in ('source', 'destination'):
                        agent.set_credential(f'shop.{side}', servers.AGENT_PASSWORD)
                shop = agent.create('shop', source.uri('agent'), f'mysql://agent@127.0.0.1:{cable.port}/?ssl-mode=disabled', unfit='skip')
                steps.start(shop)
                canary = destination.scalar("SELECT table_name FROM information_schema.tables WHERE table_schema = 'polarshift' AND table_name LIKE 'canary%'")

                def refused(method, writer):
                        result, name, message = shop.finish(steps.begin(shop, method), check=False)
                        print(message)
                        assert (result, name) == ('failed', 'ReverseNotProven')
                        assert not shop.get('ReverseProven') and not steps.write_refused(writer)
                        with pytest.raises(BusError) as at_once:
                                shop.begin(method)
                        assert at_once.value.short == 'ReverseNotProven'

                steps.make_ready(shop)
                cable.stop_dumps(True)
                refused('Switch', source)
                cable.stop_dumps(False)
                for method, writer in (('Switch', source), ('Rollback', destination)):      # the row behind the way, and the one before it
                        steps.make_ready(shop)
                        with source.connect() as holder, holder.cursor() as cursor:
                                cursor.execute('BEGIN')
                                cursor.execute(f'SELECT * FROM polarshift.{canary} FOR UPDATE')
                                refused(method, writer)
                        steps.change_side(shop, method)
        equal.wait_equal(source, destination, ['shop'])


def test_abort_while_draining(link, pair):
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM shop.stock WHERE product_id = 1 FOR UPDATE')
                operation = steps.begin(shop, 'Switch', {'max-delay': 60.0})
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
                # The guard waits for what was written before it, too, for 10 s at most.
                shop.wait(lambda: shop.get('OperationStep') in ('guard', 'drain'), 20, 'a step that waits')
                step = shop.get('OperationStep')
                shop.call('Abort', '(ta{sv}t)', operation, {}, 0)
                began = time.monotonic()
                result, _, _ = shop.finish(operation, check=False)
                took = time.monotonic() - began
                print(f'aborted at step {step}: {result} after {took:.1f} s')
                assert result == 'canceled' and took < 9
                assert not steps.write_refused(source)
        shop.wait_caught_up(60)


def test_destination_does_not_answer(link, pair):
        """Behind the fence the other side hangs: the source takes writes again at the deadline."""
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        (table,), = destination.admin("SHOW TABLES FROM polarshift LIKE 'ckpt%%'")
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute(f'SELECT * FROM polarshift.{table} WHERE w = 2000 FOR UPDATE')
                began = time.monotonic()
                operation = steps.begin(shop, 'Switch', {'deadline': 20.0})
                shop.wait(lambda: source.variable('read_only') == 1, 30, 'the fence')      # writes would be waited for before it
                result, name, message = shop.finish(operation, check=False)
                print(f'{result} after {time.monotonic() - began:.1f} s: {message}')
                assert result == 'undone' and name == 'DeadlineExceeded'
                assert not steps.write_refused(source)
        shop.wait_caught_up(60)
        steps.change_side(shop, 'Switch')


def test_event_scheduler(agent, link, pair):
        """It is off on the closed side, and on again where writes go on, after a crash in the middle too."""
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('SET GLOBAL event_scheduler = ON')
        try:
                shop = link(source, destination)
                steps.start(shop)
                for moment in (0.02, 0.05, 0.08, 0.12):
                        steps.make_ready(shop)
                        if shop.get('Phase') == 'switched':
                                steps.change_side(shop, 'Rollback')
                                steps.make_ready(shop)
                        steps.begin(shop, 'Switch')
                        time.sleep(moment)
                        agent.kill9()
                        agent.start()
                        shop.wait(lambda: shop.get('Operation') == '', 60, 'the end of the operation')
                        on = source.variable('event_scheduler')
                        print(moment, shop.get('Phase'), on)
                        assert (on in ('ON', 1)) == (shop.get('Phase') == 'synchronizing')
        finally:
                source.admin('SET GLOBAL event_scheduler = OFF')


def test_source_restarted_at_the_commit_point(link, pair):
        """The owner row of the destination is locked by somebody, and the source comes back from a restart without its fence: what
        was acknowledged there must not be left behind."""
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM polarshift.owner FOR UPDATE')
                operation = steps.begin(shop, 'Switch', {'deadline': 60.0})
                shop.wait(lambda: shop.get('OperationStep') == 'commit', 20, 'the commit point')
                assert steps.write_refused(source) and steps.write_refused(destination)
                source.restart()
                with source.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as app:
                        app.execute('UPDATE stock SET quantity = quantity + 1 WHERE product_id = 1')
                        c.commit()
                result, name, message = shop.finish(operation, check=False)
                print(result, name, message)
                assert result == 'undone' and name in ('ForeignWrites', 'SourceUnreachable')
                assert not steps.write_refused(source) and steps.write_refused(destination)
        shop.wait_caught_up(60)
        equal.wait_equal(source, destination, ['shop'])
        steps.make_ready(shop)
        steps.change_side(shop, 'Switch')


def test_commit_point_held_up(link, pair):
        """The same without the restart: it is tried until it works."""
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        steps.make_ready(shop)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM polarshift.owner FOR UPDATE')
                operation = steps.begin(shop, 'Switch', {'deadline': 60.0})
                shop.wait(lambda: shop.get('OperationStep') == 'commit', 20, 'the commit point')
                time.sleep(3)
        assert shop.finish(operation)[0] == 'done'
        assert steps.write_refused(source) and not steps.write_refused(destination)


def test_restarted_a_moment_ago(pair, held):
        """Nobody writes for a while, so those who apply have nothing to write either, and hold connections that are gone: seen, and made anew, in
        the guard, and not behind the fence, where the first write of somebody would have shown it."""
        source, destination = pair
        schemas.create_shop(source, 500)
        agent, points = held
        shop = steps.create(agent, source, destination)
        steps.start(shop)
        for method, phase, writer, reader in (('Switch', 'switched', source, destination), ('Rollback', 'synchronizing', destination, source)):
                steps.make_ready(shop)
                guard, fence = (f'{method.lower()}.{point}.before' for point in ('guard', 'fence'))
                points.hold(guard)
                points.hold(fence)
                operation = steps.begin(shop, method)
                points.wait(guard)
                reader.kill9()
                reader.start()
                points.release(guard)
                points.wait(fence, lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)    # pylint: disable=W0640
                writer.admin('UPDATE shop.stock SET quantity = quantity + 1')
                points.release(fence)
                result, name, message = shop.finish(operation, check=False)
                assert (result, name) == ('done', ''), f'{method}: {result} {name} {message}'
                assert shop.get('Phase') == phase
        assert not steps.write_refused(source) and steps.write_refused(destination)
        equal.wait_equal(source, destination, ['shop'])


def test_cut_in_the_flip(agent, pair):
        """The destination is away when several sessions make triggers there: at the deadline none of them is waited for."""
        source, destination = pair
        schemas.create_shop(source, 500)
        tables = [f'quiet{n}' for n in range(4)]
        for table in tables:
                source.script([f'CREATE TABLE {table} (id INT PRIMARY KEY, at DATETIME)',
                               f'CREATE TRIGGER {table}_at BEFORE INSERT ON {table} FOR EACH ROW SET NEW.at = NOW()'], db='shop')
        with proxy.Proxy(destination.port) as cable:
                shop = steps.create(agent, source, f'mysql://agent@127.0.0.1:{cable.port}/?ssl-mode=disabled')
                steps.start(shop)
                steps.make_ready(shop)
                with destination.connect(db='shop') as holder, holder.cursor() as cursor:
                        cursor.execute('LOCK TABLES ' + ', '.join(f'{table} READ' for table in tables))
                        operation = steps.begin(shop, 'Switch', {'deadline': 5.0})
                        shop.wait(lambda: destination.scalar("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'CREATE%%TRIGGER%%'") > 1, 20,
                                  'sessions that make triggers')
                        cable.cut()
                began = time.monotonic()
                shop.wait(lambda: source.variable('read_only') == 0, 60, 'the source open again')
                took = time.monotonic() - began
                print(f'open after {took:.1f} s')
                assert not steps.write_refused(source) and took < 30    # an answer is waited for for 60 s
                cable.mend()
                result, name, message = shop.finish(operation, check=False)
                assert (result, name) == ('undone', 'DeadlineExceeded') and 'the destination cannot be reached' in message, (result, name, message)
                shop.wait_caught_up(60)
                steps.change_side(shop, 'Switch')
                assert len(destination.admin("SHOW TRIGGERS FROM shop LIKE 'quiet%%'")) == len(tables)


class Mute(proxy.Proxy):
        """A cable on which sessions begin, while it is told so, and what sets them up is lost."""
        mute = False

        def _move(self, client, s, events):
                if self.mute and s is client and events & selectors.EVENT_READ:
                        with contextlib.suppress(OSError):
                                if b'SET NAMES binary' in s.recv(proxy.CHUNK, socket.MSG_PEEK):
                                        s.recv(proxy.CHUNK)
                                        return
                super()._move(client, s, events)


def test_cut_while_a_session_begins(pair, held):
        """Behind the fence the connection to the other side is lost, and the new one is when it has just been let in: not waited for beyond the deadline."""
        agent, points = held
        source, destination = pair
        schemas.create_shop(source, 300)
        with Mute(destination.port) as cable:
                shop = steps.create(agent, source, f'mysql://agent@127.0.0.1:{cable.port}/?ssl-mode=disabled')
                steps.start(shop)
                steps.make_ready(shop)
                points.hold('switch.drain.after')
                operation = steps.begin(shop, 'Switch', {'deadline': 5.0})
                points.wait('switch.drain.after', lambda: shop.get('LastOperation')[2:] if shop.get('LastOperation')[0] >= operation else None)
                cable.mute = True
                cable.reset()
                points.release('switch.drain.after')
                began = time.monotonic()
                shop.wait(lambda: source.variable('read_only') == 0, 60, 'the source open again')
                took = time.monotonic() - began
                print(f'open after {took:.1f} s')
                assert not steps.write_refused(source) and took < 30            # an answer is waited for for 60 s
                cable.mute = False
                cable.reset()
                result, name, message = shop.finish(operation, check=False)
                assert (result, name) == ('undone', 'DeadlineExceeded'), (result, name, message)
                shop.wait_caught_up(60)
                steps.change_side(shop, 'Switch')
