# SPDX-License-Identifier: LGPL-2.1-or-later
"""Views, routines, triggers and events: there and back, with clients that write and events that run all the time. Triggers fire once, on the side
that takes writes; events run there only; definitions come out as they were."""

import json
import os
import time

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
        before = programs.triggers(source)
        with Workload([source, destination], writers=4) as load:
                steps.start(shop)
                time.sleep(1.2)
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
