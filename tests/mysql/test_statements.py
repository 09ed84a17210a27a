# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements of others on the side that takes writes: what stops the link, and what must not."""

import time

import equal
import schemas
import servers
import steps


def failed(shop):
        return shop.get('ReplicationState') == 'failed'


def test_statements_in_a_row(link, pair):
        """ALTERs one after the other that the other side refuses, since somebody did the same there before."""
        source, destination = pair
        schemas.create_shop(source, 500)
        source.admin('CREATE TABLE shop.wide (id INT PRIMARY KEY, a INT)')
        shop = link(source, destination)
        steps.start(shop)
        with source.connect('app', servers.APP_PASSWORD, 'shop') as c, c.cursor() as cursor:
                for i in range(500):
                        cursor.execute('INSERT INTO wide VALUES (%s, %s)', (i, i))
                shop.wait_caught_up()
                equal.wait_equal(source, destination, ['shop'])
                statements = [f'ALTER TABLE shop.wide ADD COLUMN c{n} INT NOT NULL DEFAULT {n}' for n in range(3)]
                for statement in statements:
                        destination.admin(statement)
                for statement in statements:
                        source.admin(statement)
                cursor.execute('UPDATE wide SET c2 = c2 + 1')
                for _ in statements:
                        shop.wait(lambda: failed(shop), 60, 'the link to stop')
                        name, message = shop.get('LastError')
                        assert name.endswith('.UnsupportedObject') and 'ALTER TABLE `shop`.`wide`' in message and '1060' in message
                        assert 'COLUMN' not in message
                        shop.call('Resume', '(a{sv}t)', {'ddl': 'done-by-hand'}, 0)
                        shop.wait(lambda: not failed(shop) or shop.get('LastError')[1] != message, 30, 'the next one')
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


def test_killed_query(link, pair):
        """KILL QUERY of one of the agent's statements is no reason to stop for good."""
        source, destination = pair
        schemas.create_shop(source, 500)
        shop = link(source, destination)
        steps.start(shop)
        with destination.connect() as holder, holder.cursor() as cursor:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM shop.stock WHERE product_id = 1 FOR UPDATE')
                source.admin('UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1')
                killed = 0
                for _ in range(50):
                        rows = destination.admin("SELECT id FROM information_schema.processlist WHERE user = 'agent' AND "
                                                 "command = 'Query' AND info LIKE '%%stock%%'")
                        for (thread,) in rows:
                                destination.admin(f'KILL QUERY {thread}')
                                killed += 1
                        if killed:
                                break
                        time.sleep(0.1)
                assert killed
                time.sleep(1)
        shop.wait_caught_up(30)
        equal.wait_equal(source, destination, ['shop'])


def test_foreign_write_behind_another_table(link, pair):
        """A transaction of others is seen although its first table is none that is carried."""
        source, destination = pair
        schemas.create_shop(source, 500)
        destination.script(['CREATE DATABASE aside', 'CREATE TABLE aside.t (a INT PRIMARY KEY)'])
        shop = link(source, destination, include=['shop'])
        steps.start(shop)
        shop.wait(lambda: shop.get('ReverseProven'), 30, 'ReverseProven')
        destination.script(['BEGIN', 'INSERT INTO aside.t VALUES (1)',
                            'UPDATE shop.stock SET quantity = quantity + 1 WHERE product_id = 1', 'COMMIT'])
        shop.wait(lambda: shop.get('ForeignWrites') == 1, 10, 'the foreign write')


def test_tables_of_others_in_our_database(link, pair):
        """What somebody else keeps in a database `polarshift` stays when a migration ends."""
        source, destination = pair
        schemas.create_shop(source, 500)
        destination.script(['CREATE DATABASE polarshift', 'CREATE TABLE polarshift.theirs (a INT PRIMARY KEY)'])
        shop = link(source, destination)
        steps.start(shop)
        shop.operate('Cancel')
        assert destination.admin('SHOW TABLES FROM polarshift') == (('theirs',),)
        assert not source.admin("SHOW DATABASES LIKE 'polarshift'")
