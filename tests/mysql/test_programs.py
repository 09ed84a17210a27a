# SPDX-License-Identifier: LGPL-2.1-or-later
"""Views, routines, triggers and events: there and back, with clients that write and events that run all the time. Triggers fire once, on the side
that takes writes; events run there only; definitions come out as they were."""

import json
import os
import time

import pymysql
import pytest

import equal
import programs
import schemas
import servers
import steps
from agent import OperationFailed
from test_kill import kill_at_step
from workload import Workload


@pytest.fixture
def programs_pair(pair):
        for server in pair:
                programs.drop_keeper(server)
                programs.create_keeper(server)
                server.admin('SET GLOBAL event_scheduler=ON')
        yield pair
        for server in pair:
                programs.drop_keeper(server)
                server.admin('SET GLOBAL event_scheduler=OFF')


def last_tick(server):
        return server.admin("SELECT MAX(id), MAX(at) FROM shop.ticks")[0]


def quiet(load, writer, reader, title):
        """A quiet point: nobody writes, no event runs, and both sides hold the same rows and definitions."""
        load.pause()
        writer.admin('SET GLOBAL event_scheduler=OFF')
        equal.wait_equal(writer, reader, ['shop'], 60)
        differences = programs.compare(writer, reader)
        assert not differences, '\n'.join(differences)
        assert programs.enabled_events(writer) == {'tick', 'täglich'} and programs.enabled_events(reader) == set()
        logged = programs.audited_once(writer)
        print(f'{title}: {logged} log rows, each noticed once; {len(programs.triggers(writer))} triggers')
        writer.admin('SET GLOBAL event_scheduler=ON')
        load.go_on()


def there_and_back(shop, source, destination):
        with Workload([source, destination], writers=4) as load:
                steps.start(shop)
                # A table and what hangs on it, and what was there changed, while the link runs.
                source.script(['CREATE TABLE fresh (id INT PRIMARY KEY, x INT)', 'CREATE DEFINER=`keeper`@`%` VIEW fresh_view AS SELECT id FROM fresh',
                               'CREATE DEFINER=`keeper`@`%` TRIGGER fresh_before BEFORE INSERT ON fresh FOR EACH ROW SET NEW.x = NEW.id * 2',
                               'DROP TRIGGER orders_after_update', "ALTER DEFINER=`keeper`@`%` EVENT tick COMMENT 'changed'",
                               'ALTER DEFINER=`keeper`@`%` VIEW latin_view AS SELECT 2 AS id', 'INSERT INTO fresh (id) VALUES (4)'], db='shop')
                before = programs.triggers(source)
                load.pause()
                shop.wait(lambda: not programs.compare(source, destination), 30, 'what was changed on the other side')
                load.go_on()
                time.sleep(0.5)
                quiet(load, source, destination, 'synchronizing')
                assert programs.triggers(destination) == {}
                print(f'write interruption: {steps.change_side(shop, "Switch"):.3f} s')
                assert programs.triggers(destination) == before and programs.triggers(source) == {}
                ticks = last_tick(destination)
                time.sleep(1.5)
                quiet(load, destination, source, 'switched')
                assert last_tick(destination) > ticks, 'the event does not run on the new side'
                assert not destination.admin('SELECT 1 FROM shop.ticks GROUP BY FLOOR(UNIX_TIMESTAMP(at)) HAVING COUNT(*) > 4')
                # Views, routines and triggers change on the side that takes writes.
                destination.script(['SET NAMES utf8mb4 COLLATE utf8mb4_general_ci', 'DROP PROCEDURE count_up', 'CREATE DEFINER=`keeper`@`%` PROCEDURE count_up() SELECT 7',
                                    'CREATE DEFINER=`keeper`@`%` VIEW new_view AS SELECT id FROM a_view',
                                    'DROP TRIGGER payments_after_delete'], db='shop')
                shop.wait(lambda: source.admin("SHOW TABLES FROM shop LIKE 'new_view'"), 30, 'the new view on the other side')
                changed = {k: v for k, v in before.items() if k != ('trigger', 'payments_after_delete')}
                print(f'write interruption: {steps.change_side(shop, "Rollback"):.3f} s')
                assert programs.triggers(source) == changed and programs.triggers(destination) == {}
                time.sleep(1.2)
                quiet(load, source, destination, 'rolled back')
                print(f'write interruption: {steps.change_side(shop, "Switch"):.3f} s')
                time.sleep(0.5)
                quiet(load, destination, source, 'switched again')
                shop.operate('Complete')
        assert programs.triggers(destination) == changed and programs.triggers(source) == {}
        assert programs.enabled_events(source) == set() and programs.enabled_events(destination) == {'tick', 'täglich'}
        report = json.loads(shop.call('GetReport'))
        listed = {(line['type'], line['name']): line for line in report['programs']}
        assert all(line['carried'] for line in listed.values()), listed
        assert ('view', '`shop`.`new_view`') in listed and ('trigger', '`shop`.`log_after`') in listed
        assert any('without its triggers' in task['what'] for task in report['to_do'])


def test_there_and_back(link, programs_pair):
        source, destination = programs_pair
        schemas.create_shop(source, 800)
        programs.create(source)
        there_and_back(link(source, destination), source, destination)


@pytest.mark.parametrize('kind', [servers.MySQL97, servers.MariaDB118, servers.MySQL56], ids=['mysql97', 'mariadb118', 'mysql56'])
def test_there_and_back_elsewhere(link, server, kind):
        missing = kind.missing() if hasattr(kind, 'missing') else None
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source = server(servers.MySQL56, config=['event_scheduler=ON'])
        destination = server(kind, config=['event_scheduler=ON', 'log_bin_trust_function_creators=ON'])
        for each in (source, destination):
                programs.create_keeper(each)
        schemas.create_shop(source, 300)
        programs.create(source)
        there_and_back(link(source, destination), source, destination)


MANY = 50


def test_cancel_and_many_triggers(agent, link, programs_pair):
        """What a switch with many triggers costs; and what a canceled migration leaves."""
        source, destination = programs_pair
        schemas.create_shop(source, 100)
        programs.create(source)
        for n in range((MANY - 7) // 2 + 1):
                source.script([f'CREATE TABLE many_{n} (id INT PRIMARY KEY, x INT)']
                              + [f'CREATE DEFINER=`keeper`@`%` TRIGGER many_{n}_{action} BEFORE {action} ON many_{n} FOR EACH ROW SET NEW.x = {n}'
                                 for action in ('INSERT', 'UPDATE')], db='shop')
        before = programs.triggers(source)
        assert len(before) >= MANY
        shop = link(source, destination)
        steps.start(shop)
        # A scheduler that is off where events are to run stops a switch.
        destination.admin('SET GLOBAL event_scheduler=OFF')
        steps.make_ready(shop)
        fails_to(shop, 'Switch', 'event scheduler', name='CheckFailed')
        destination.admin('SET GLOBAL event_scheduler=ON')
        for method in ('Switch', 'Rollback'):
                print(f'{method} with {len(before)} triggers: writes interrupted for {steps.change_side(shop, method):.3f} s')
                writer, reader = (destination, source) if method == 'Switch' else (source, destination)
                assert programs.triggers(writer) == before and programs.triggers(reader) == {}
        # Who made triggers for an agent that ended may still be at it: it is ended before anything is applied there.
        task = destination.scalar("SELECT SUBSTRING(TABLE_NAME, 6) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'polarshift' AND TABLE_NAME LIKE 'ckpt%'")
        with destination.connect('agent', servers.AGENT_PASSWORD) as c, c.cursor() as cursor:
                cursor.execute(f"SELECT GET_LOCK('polarshift.{task}.trigger3', 0)")
                assert cursor.fetchone() == (1,)
                agent.restart()
                shop.wait_caught_up()
                with pytest.raises(pymysql.MySQLError):
                        cursor.execute('SELECT 1')
        source.script(['DROP TRIGGER many_0_INSERT', 'CREATE DEFINER=`keeper`@`%` FUNCTION late() RETURNS INT DETERMINISTIC RETURN 3'], db='shop')
        shop.operate('Cancel')
        del before['trigger', 'many_0_INSERT']
        assert programs.triggers(source) == programs.triggers(destination) == before
        assert destination.scalar('SELECT shop.late()') == 3
        assert programs.enabled_events(source) == {'tick', 'täglich'} and programs.enabled_events(destination) == set()
        for server in programs_pair:
                assert not server.admin("SHOW DATABASES LIKE 'polarshift'")


def fails_to(shop, method, *words, name='UnsupportedObject', flags=0):
        """The operation is refused with this error, and its message says WORDS."""
        with pytest.raises(OperationFailed) as failed:
                shop.operate(method, flags=flags)
        assert failed.value.short == name, failed.value
        for word in words:
                assert word in failed.value.message, failed.value.message


def test_what_the_other_side_refuses(agent, link, programs_pair):
        source, destination = programs_pair
        schemas.create_shop(source, 100)
        programs.create(source)
        # A view that is broken; a function of a definer without an account, which can be made; and a view that calls it, which cannot.
        source.script(['CREATE TABLE gone (id INT PRIMARY KEY)', 'CREATE DEFINER=`keeper`@`%` VIEW broken AS SELECT id FROM gone', 'DROP TABLE gone'],
                      db='shop')
        programs.create_keeper(source, 'stranger')
        try:
                source.script(['CREATE DEFINER=`stranger`@`%` FUNCTION foreign_to() RETURNS INT DETERMINISTIC RETURN 5',
                               'CREATE DEFINER=`stranger`@`%` VIEW foreign_view AS SELECT foreign_to() AS five'], db='shop')
                refuses_and_skips(agent, link, source, destination)
        finally:
                for server in programs_pair:
                        programs.drop_keeper(server, 'stranger')


def refuses_and_skips(agent, link, source, destination):
        shop = link(source, destination, unfit='refuse', include=['shop'])
        rows = [row for row in shop.checks() if row[0] == 'definers']
        assert 'stranger@%' in rows[0][2], rows
        fails_to(shop, 'Start', '`shop`.`', flags=1)
        # Nothing is left of what was made until then.
        for kind in ('VIEWS', 'ROUTINES', 'EVENTS', 'TRIGGERS'):
                column = {'VIEWS': 'TABLE', 'ROUTINES': 'ROUTINE', 'EVENTS': 'EVENT', 'TRIGGERS': 'TRIGGER'}[kind]
                assert not destination.admin(f"SELECT * FROM information_schema.{kind} WHERE {column}_SCHEMA = 'shop'"), kind
        assert destination.variable('read_only') == 0
        shop.operate('Cancel')
        shop.call('Remove', '(a{sv}t)', {}, 0)

        shop = link(source, destination, include=['shop'])      # accounts, and so definers, stay behind
        steps.start(shop)
        report = {(line['type'], line['name']): line for line in json.loads(shop.call('GetReport'))['programs']}
        assert not report['view', '`shop`.`broken`']['carried'] and not report['view', '`shop`.`foreign_view`']['carried']
        assert 'definer' in report['view', '`shop`.`foreign_view`']['destination']
        assert report['function', '`shop`.`foreign_to`']['carried'] and report['view', '`shop`.`a_view`']['carried']
        # A trigger whose definer has no account would refuse every write.
        source.admin('CREATE DEFINER=`stranger`@`%` TRIGGER shop.of_stranger BEFORE INSERT ON shop.products FOR EACH ROW SET NEW.active = 1')
        steps.make_ready(shop)
        fails_to(shop, 'Switch', 'definers')
        # Once the account is there, the guard makes what is missing.
        programs.create_keeper(destination, 'stranger')
        steps.change_side(shop, 'Switch')
        assert destination.scalar('SELECT five FROM shop.foreign_view') == 5
        # What MySQL 5.6 cannot take stays behind by name, and everything else comes along.
        destination.script(['SET NAMES utf8mb4 COLLATE utf8mb4_general_ci',
                            'CREATE DEFINER=`keeper`@`%` VIEW windows AS SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM products',
                            'CREATE OR REPLACE DEFINER=`keeper`@`%` VIEW latin_view AS SELECT 1 AS one',
                            'CREATE DEFINER=`keeper`@`%` TRIGGER second_one AFTER INSERT ON ledger_log FOR EACH ROW SET @a = 1'], db='shop')
        steps.change_side(shop, 'Rollback')
        report = {(line['type'], line['name']): line for line in json.loads(shop.call('GetReport'))['programs']}
        assert report['view', '`shop`.`windows`']['source'] and report['trigger', '`shop`.`second_one`']['source']
        assert source.scalar('SELECT one FROM shop.latin_view') == 1
        assert ('trigger', 'log_after') in programs.triggers(source) and programs.triggers(destination) == {}
        # A trigger that is not ours, on the side that is applied to.
        destination.admin('CREATE DEFINER=`keeper`@`%` TRIGGER shop.intruder BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.flags = 1')
        steps.make_ready(shop)
        fails_to(shop, 'Switch', 'intruder')
        destination.admin('DROP TRIGGER shop.intruder')
        steps.change_side(shop, 'Switch')
        assert ('trigger', 'second_one') in programs.triggers(destination)
        assert destination.scalar('SELECT MAX(n) FROM shop.windows') == 100


def test_kill_where_triggers_and_events_move(agent, link, programs_pair):
        """Wherever the agent is killed: each trigger is on the side that takes writes and only there, and so are the events."""
        source, destination = programs_pair
        schemas.create_shop(source, 200)
        programs.create(source)
        before = programs.triggers(source)
        shop = link(source, destination)
        hit = []
        with Workload([source, destination], writers=2, rate=200) as load:
                steps.start(shop)
                for step in ('flip', 'reverse-start', 'release', 'flip', 'commit', 'release', 'reverse'):
                        steps.make_ready(shop)
                        phase = shop.get('Phase')
                        killed, operation = kill_at_step(agent, shop, 'Switch' if phase == 'synchronizing' else 'Rollback', step)
                        hit += [step] if killed else []
                        result, _, _ = shop.finish(operation, 90, check=False)
                        phase = shop.get('Phase')
                        print(f'{step}: {"killed, " if killed else "not caught, "}{result}, {phase}')
                        writer, reader = (source, destination) if phase == 'synchronizing' else (destination, source)
                        shop.wait_caught_up()
                        assert programs.triggers(writer) == before and programs.triggers(reader) == {}
                        time.sleep(0.3)
                        quiet(load, writer, reader, phase)
        assert len(hit) >= 2, hit
