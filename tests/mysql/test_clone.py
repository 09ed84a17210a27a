# SPDX-License-Identifier: LGPL-2.1-or-later
"""create-type=clone: a copy of the source as it was at one recorded position, made while clients write."""

import json
import re
import threading

import pymysql
import pytest

import equal
import schemas
import servers
from agent import BusError

WRITERS = 3


class Writers:
        """Each transaction of writer w adds its next number n to two tables, and sets its counter to n."""

        def __init__(self, source):
                source.script(['CREATE DATABASE c', 'USE c', 'CREATE TABLE first (w INT, n INT, PRIMARY KEY (w, n))',
                               'CREATE TABLE second (id INT PRIMARY KEY AUTO_INCREMENT, w INT, n INT)',
                               'CREATE TABLE counter (w INT PRIMARY KEY, n INT)', 'CREATE TABLE fired (n INT PRIMARY KEY AUTO_INCREMENT, w INT)',
                               'CREATE TRIGGER counted AFTER UPDATE ON counter FOR EACH ROW INSERT INTO fired (w) VALUES (NEW.w)',
                               "CREATE EVENT later ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO SELECT 1"])
                source.script([f'INSERT INTO c.counter VALUES ({w}, 0)' for w in range(WRITERS)])
                self.source = source
                self.stop = threading.Event()
                self.errors = []
                self.threads = [threading.Thread(target=self._write, args=(w,)) for w in range(WRITERS)]

        def __enter__(self):
                for thread in self.threads:
                        thread.start()
                return self

        def __exit__(self, *exc):
                self.stop.set()
                for thread in self.threads:
                        thread.join()

        def _write(self, w):
                try:
                        with self.source.connect('app', servers.APP_PASSWORD, db='c') as c, c.cursor() as cursor:
                                n = 0
                                while not self.stop.wait(0.002):
                                        n += 1
                                        cursor.execute('BEGIN')
                                        cursor.execute(f'INSERT INTO first VALUES ({w}, {n})')
                                        cursor.execute(f'INSERT INTO second (w, n) VALUES ({w}, {n})')
                                        cursor.execute(f'UPDATE counter SET n = {n} WHERE w = {w}')
                                        cursor.execute('COMMIT')
                except pymysql.err.MySQLError as e:
                        self.errors.append(e)


def counters_at(source, position):
        """What each writer had committed up to there, by the statements that the source's own log quotes."""
        counters = dict.fromkeys(range(WRITERS), 0)
        for (log, *_) in source.admin('SHOW BINARY LOGS'):
                if log > position['file']:
                        break
                pending = {}
                for _, _, kind, _, end, info in source.admin(f"SHOW BINLOG EVENTS IN '{log}'"):
                        if log == position['file'] and end > position['offset']:
                                break
                        quoted = re.search(r'INSERT INTO first VALUES \((\d+), (\d+)\)', info or '') if kind == 'Rows_query' else None
                        if quoted:
                                pending[int(quoted.group(1))] = int(quoted.group(2))
                        if kind == 'Xid':
                                counters.update(pending)
                                pending = {}
        return counters


def test_clone_under_load(server, link, agent):
        """The destination writes no binary log: there is no way back, and none is asked for."""
        source = server(servers.MySQL56, config=['binlog_rows_query_log_events=ON'])
        destination = server(servers.MariaDB, config=['skip:log-bin', 'skip:log-slave-updates'])
        schemas.create_shop(source, 3000)
        with Writers(source) as writers:
                clone = link(source, destination, create_type='clone', max_copy_rate=100000)
                assert 'Switch' not in clone.get('AllowedActions') and clone.get('CreateType') == 'clone'
                rows = clone.checks()
                assert not [row for row in rows if row[1] == 'error'], rows
                assert not [row for row in rows if row[0].startswith('fence')]
                clone.operate('Start', flags=1)
                for method in ('Switch', 'Complete', 'Rollback'):
                        with pytest.raises(BusError) as refused:
                                clone.begin(method)
                        assert refused.value.short == 'InvalidPhase', method
                agent.kill9()
                agent.start()
                clone = agent.migration('shop')
                clone.call('SetLimits', '(a{sv}t)', {'max-copy-rate': 0}, 0)

                def over():
                        assert 'Switch' not in clone.get('AllowedActions')
                        return clone.get('Phase') == 'completed'
                clone.wait(over, 180, 'the end of the clone')
                assert source.variable('read_only') == 0
                before = sum(n for _, n in source.admin('SELECT w, n FROM c.counter'))
                clone.wait(lambda: sum(n for _, n in source.admin('SELECT w, n FROM c.counter')) > before, 30, 'the source being written')
        assert not writers.errors
        report = json.loads(clone.call('GetReport'))
        position = report['clone_position']
        assert report['verification']['state'] == 'equal' and report['request']['create_type'] == 'clone'
        expected = counters_at(source, position)
        assert all(expected.values()), expected
        assert dict(destination.admin('SELECT w, n FROM c.counter')) == expected
        for table in ('first', 'second'):
                assert {w: (n, count) for w, n, count in destination.admin(f'SELECT w, MAX(n), COUNT(*) FROM c.{table} GROUP BY w')} \
                        == {w: (n, n) for w, n in expected.items()}, table
        assert destination.scalar('SELECT COUNT(*) FROM c.fired') == sum(expected.values())
        assert source.scalar('SELECT COUNT(*) FROM c.fired') > sum(expected.values())
        assert not equal.compare(source, destination, ['shop'])
        # On its own from now on: nothing of ours, writable, with its trigger; events do not run twice.
        for side in (source, destination):
                assert side.variable('read_only') == 0 and not side.admin("SHOW DATABASES LIKE 'polarshift'")
        with destination.connect('app', servers.APP_PASSWORD, db='c') as c, c.cursor() as cursor:
                cursor.execute('UPDATE counter SET n = 0 WHERE w = 0')
        assert destination.scalar('SELECT COUNT(*) FROM c.fired') == sum(expected.values()) + 1
        assert destination.scalar("SELECT status FROM information_schema.events WHERE event_name='later'") == 'DISABLED'
        assert source.scalar("SELECT status FROM information_schema.events WHERE event_name='later'") == 'ENABLED'
        assert [task for task in report['to_do'] if 'events are disabled' in task['what']] and 'read_only' not in json.dumps(report['to_do'])
        with pytest.raises(BusError) as refused:
                clone.begin('Switch')
        assert refused.value.short == 'InvalidPhase'
        page = agent.ctl('report', 'shop', '--format=html', json_mode=None)
        assert 'The clone is complete' in page.out and f"{position['file']}:{position['offset']}" in page.out
        clone.call('Remove', '(a{sv}t)', {}, 0)
