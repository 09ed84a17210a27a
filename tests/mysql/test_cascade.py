# SPDX-License-Identifier: LGPL-2.1-or-later
"""Foreign keys that cascade: the server changes rows, and says nothing about it in its binary log."""

import os
import random
import time

import pytest

import equal
import families
import servers
import steps
from agent import OperationFailed

ROWS = 1000


def quiet(load, source, destination, title):
        load.pause()
        checked = {}
        equal.wait_equal(source, destination, ['kin'], 60, checked)
        print(f'{title}: {load.done} transactions, {sum(checked.values())} rows equal')
        load.go_on()


def whole_life(agent, source, destination, migration, run=1.0, without=(), step=300):
        families.create(source, ROWS, step=step)
        with families.Writers([source, destination], rows=ROWS, without=without) as load:
                time.sleep(0.3)
                migration.operate('Start', flags=1)
                for _ in range(2):
                        time.sleep(random.uniform(0.1, 0.6))
                        agent.kill9()
                        agent.start()
                        print(f'killed in phase {migration.get("Phase")}')
                migration.wait_phase('synchronizing', 180)
                migration.wait_caught_up(120)
                quiet(load, source, destination, 'synchronizing')
                time.sleep(run / 2)
                agent.kill9()
                agent.start()
                time.sleep(run / 2)
                migration.wait_caught_up(120)
                quiet(load, source, destination, 'after a kill')
                for method in ('Switch', 'Rollback'):
                        steps.change_side(migration, method)
                        time.sleep(run)
                        quiet(load, source, destination, method)
        assert load.done > 100


def test_mariadb(agent, pair, link):
        whole_life(agent, *pair, link(*pair, max_copy_rate=1 << 20))


def test_mysql(agent, server, link):
        source, destination = server(servers.MySQL56), server(servers.MySQL56)
        whole_life(agent, source, destination, link(source, destination, max_copy_rate=1 << 20))


# What the server layer of MySQL 9.7 cannot cascade, or only to a small depth: see the check `foreign-keys`.
BEYOND_97 = ('rename_site', 'move_site', 'add_branches')


@pytest.mark.parametrize('kind, config, without', [
        (servers.MySQL97, [], BEYOND_97),
        (servers.MySQL97, ['innodb_native_foreign_keys=ON'], ()),
        (servers.MariaDB118, [], ()),
], ids=['mysql97', 'mysql97-native', 'mariadb118'])
def test_newer(agent, server, link, kind, config, without):
        missing = kind.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        source, destination = server(servers.MySQL56), server(kind, config=config)
        whole_life(agent, source, destination, link(source, destination, max_copy_rate=1 << 20), 1, without,
                   step=0 if without else 300)
