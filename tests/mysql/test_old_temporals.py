# SPDX-License-Identifier: LGPL-2.1-or-later
"""TIME, DATETIME and TIMESTAMP in the formats from before MySQL 5.6.4, as rows, as keys and in tables without a key, there and back."""

import itertools
import random

import pytest

import equal
import old_temporals
import servers
import steps

COLUMNS = ['a INT', 'dt DATETIME NOT NULL', "ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", 'tm TIME', 'd2 DATETIME', 't3 TIME(3)',
           'n TIMESTAMP NULL']
TABLES = {'numbered': 'PRIMARY KEY (a), ADD KEY (tm)', 'keyed': 'PRIMARY KEY (dt, ts)', 'bare': ''}
DATETIMES = ['1000-01-01', '9999-12-31 23:59:59', '0000-00-00', '2026-00-10 00:00:01', '2026-02-00', '2026-01-31 10:00:00', '0001-01-01 00:00:00']
TIMES = ['838:59:59', '-838:59:59', '00:00:00', '-00:00:01', '23:59:59', '-12:34:56', None]
STAMPS = ['1970-01-01 00:00:01', '2038-01-19 03:14:07', '0000-00-00', '2026-03-29 01:30:00', '1999-12-31 23:59:59']


def value(random_, values):
        found = random_.choice(values)
        return 'NULL' if found is None else f"'{found}'"


def churn(server, seed, first):
        """Rows of every value, changed and deleted again."""
        r, number = random.Random(seed), itertools.count(first)
        statements = ["SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00'"]
        for table in TABLES:
                for stamp in STAMPS:
                        statements += [f"INSERT IGNORE INTO o.{table} VALUES ({next(number)}, {value(r, DATETIMES)}, '{stamp}', {value(r, TIMES)}, {value(r, DATETIMES)}, "
                                       f"'-00:00:00.125', {value(r, [*STAMPS, None])})" for _ in range(8)]
                statements += [f'UPDATE IGNORE o.{table} SET tm={value(r, TIMES)}, d2={value(r, DATETIMES)} WHERE a % 3 = {n}' for n in (0, 1)]
                statements += [f"UPDATE IGNORE o.{table} SET n={value(r, STAMPS)} WHERE dt={value(r, DATETIMES)}" for _ in range(5)]
                statements += [f'UPDATE IGNORE o.{table} SET ts={value(r, STAMPS)} WHERE a % 7 = 1', f'DELETE FROM o.{table} WHERE dt={value(r, DATETIMES)} AND a % 2 = 1',
                               f'DELETE FROM o.{table} WHERE tm={value(r, TIMES[:-1])} AND a % 2 = 0']
        server.script(statements)


@pytest.mark.parametrize('kind', [servers.MariaDB, servers.MySQL97], ids=['mariadb', 'mysql97'])
def test_there_and_back(server, link, kind):
        missing = getattr(kind, 'missing', lambda: None)()
        if missing:
                pytest.skip(missing)
        source, destination = server(servers.MySQL56, config=['show_old_temporals=ON']), server(kind)
        source.admin('CREATE DATABASE o')
        for table, keys in TABLES.items():
                old_temporals.create(source, 'o', table, COLUMNS, keys)
        churn(source, 1, 0)
        shop = link(source, destination)
        steps.start(shop)
        equal.wait_equal(source, destination, ['o'])
        churn(source, 2, 1000)
        # A table that is rebuilt gets the new formats on the source; on the other side it had them already.
        source.script(['SET GLOBAL avoid_temporal_upgrade = OFF', 'ALTER TABLE o.numbered ADD more TIME, FORCE'])
        assert old_temporals.count(source, 'o', 'numbered') == 0 and old_temporals.count(source, 'o', 'keyed') == 5
        source.admin('ALTER TABLE o.numbered DROP more')
        churn(source, 3, 2000)
        equal.wait_equal(source, destination, ['o'])
        steps.change_side(shop, 'Switch')
        churn(destination, 4, 3000)
        equal.wait_equal(source, destination, ['o'])
        steps.change_side(shop, 'Rollback')
        churn(source, 5, 4000)
        equal.wait_equal(source, destination, ['o'])
        assert old_temporals.count(source, 'o', 'keyed') == 5
        shop.operate('Cancel')
