# SPDX-License-Identifier: LGPL-2.1-or-later
"""Columns that only the newer side can have, made there after the switch: JSON and generated ones. MySQL 5.6 cannot take them: the way
back stops in front of the statement, by name, and what was written before it is exact."""

import os

import pytest

import servers
import steps

CASES = [('mariadb', 'g INT GENERATED ALWAYS AS (a * 2) STORED'), ('mysql97', 'g JSON'), ('mysql97', 'g INT GENERATED ALWAYS AS (a * 2) VIRTUAL'),
         ('mariadb118', 'g INT GENERATED ALWAYS AS (a * 2) VIRTUAL')]


@pytest.mark.parametrize('kind, column', CASES)
def test_columns_of_the_newer_side(kind, column, link, server, pair):
        source, destination = pair
        if kind != 'mariadb':
                missing = servers.FLAVORS[kind].missing()
                if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                        pytest.skip(missing)
                destination = server(servers.FLAVORS[kind])
        source.script(['CREATE DATABASE new', 'CREATE TABLE new.t (id INT PRIMARY KEY, a INT)', 'INSERT INTO new.t VALUES (1, 1), (2, 2)'])
        shop = link(source, destination)
        steps.start(shop)
        steps.change_side(shop, 'Switch')
        destination.script(['INSERT INTO new.t VALUES (3, 3)', f'ALTER TABLE new.t ADD COLUMN {column}', 'UPDATE new.t SET a = a + 1 WHERE id = 3',
                            'DELETE FROM new.t WHERE id = 1'])
        shop.wait(lambda: shop.get('ReplicationState') == 'failed', 60, 'the stop')
        name, message = shop.get('LastError')
        assert name.endswith('.UnsupportedObject') and '`t`' in message, (name, message)
        assert source.admin('SELECT * FROM new.t') == ((1, 1), (2, 2), (3, 3))
