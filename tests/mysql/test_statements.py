# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements of others on the side that takes writes: what stops the link, and what must not."""

import time

import pytest

import equal
import schemas
import servers
import steps
from agent import OperationFailed
from workload import Workload


def failed(shop):
        return shop.get('ReplicationState') == 'failed'


def test_statements_in_a_row(link, pair):
        """Two ALTERs one after the other, under load, done by hand on the other side."""
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('CREATE TABLE shop.wide (id INT PRIMARY KEY, a INT)')
        shop = link(source, destination)
        steps.start(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                for i in range(500):
                        cursor.execute('INSERT INTO wide VALUES (%s, %s)', (i, i))
                statements = [f'ALTER TABLE shop.wide ADD COLUMN c{n} INT NOT NULL DEFAULT {n}' for n in range(3)]
                for statement in statements:
                        source.admin(statement)
                shop.wait(lambda: failed(shop), 60, 'the link to stop')
                for statement in statements:
                        destination.admin(statement)
                cursor.execute('UPDATE wide SET c2 = c2 + 1')
                for _ in statements:
                        shop.wait(lambda: failed(shop), 60, 'the link to stop')
                        shop.call('Resume', '(a{sv}t)', {'ddl': 'done-by-hand'}, 0)
                        time.sleep(1.5)
        shop.wait_caught_up()
        equal.wait_equal(source, destination, ['shop'])


def test_rolled_back_temporary_table(link, server):
        """A temporary table that is dropped in a transaction which is rolled back: MySQL 5.6 logs the DROP and the ROLLBACK."""
        source = server(servers.MySQL56, config=['skip:gtid_mode', 'skip:enforce-gtid-consistency'])
        destination = server(servers.MariaDB)
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, \
                        c.cursor() as cursor:
                cursor.execute('SET autocommit = 0')
                cursor.execute('CREATE TEMPORARY TABLE scratch (a INT) ENGINE=InnoDB')
                cursor.execute('INSERT INTO scratch VALUES (1)')
                cursor.execute('DROP TEMPORARY TABLE scratch')
                cursor.execute('ROLLBACK')
                cursor.execute('SAVEPOINT s')
                cursor.execute('CREATE TEMPORARY TABLE scratch (a INT) ENGINE=InnoDB')
                cursor.execute('DROP TEMPORARY TABLE scratch')
                cursor.execute('ROLLBACK TO s')
                cursor.execute('UPDATE stock SET quantity = quantity + 1 WHERE product_id = 1')
                cursor.execute('COMMIT')
        time.sleep(0.5)
        shop.wait_caught_up(20)
        equal.wait_equal(source, destination, ['shop'])
