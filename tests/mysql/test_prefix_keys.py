# SPDX-License-Identifier: LGPL-2.1-or-later
"""Row keys that hold only the beginning of a column. Two rows are one key although their values differ behind the prefix, and one row goes from one such
value to the other; where nothing but a UNIQUE key of a prefix is there, the table is one without a row key."""

import os
import random

import pytest

import equal
import schemas
import servers
import steps

SEED = int(os.environ.get('POLARSHIFT_TEST_SEED', '0')) or random.randrange(1, 1 << 32)
DB = 'beginnings'
LATIN = 'CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL'
UTF8 = 'CHARACTER SET utf8 COLLATE utf8_general_ci NOT NULL'
# name → (columns, key, the columns of it). n is a number below 8, which the keys of others may be within.
TABLES = {
    'text_': (f't TEXT {UTF8}, n INT', 'PRIMARY KEY (t(4))', 't'),
    'varchar_': (f't VARCHAR(40) {LATIN}, n INT', 'PRIMARY KEY (t(4))', 't'),
    'text_bin': ('t TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, n INT', 'PRIMARY KEY (t(4))', 't'),
    'varbinary_': ('t VARBINARY(40) NOT NULL, n INT', 'PRIMARY KEY (t(4))', 't'),
    'blob_': ('t BLOB NOT NULL, n INT', 'PRIMARY KEY (t(4))', 't'),
    'composite': (f'n INT NOT NULL, t TEXT {UTF8}', 'PRIMARY KEY (n, t(4))', 'n, t'),
    'composite_reversed': (f't VARCHAR(40) {LATIN}, u VARBINARY(40) NOT NULL, n INT NOT NULL', 'PRIMARY KEY (u(3), t(4), n)', 't, u, n'),
    'with_unique': (f'id INT NOT NULL AUTO_INCREMENT, t VARCHAR(40) {LATIN}, n INT', 'PRIMARY KEY (id), UNIQUE KEY (t(4))', 't'),
    'only_unique': (f't TEXT {UTF8}, n INT', 'UNIQUE KEY (t(4))', 't'),
    'only_unique_binary': ('t VARBINARY(40) NOT NULL, n INT', 'UNIQUE KEY (t(4))', 't'),
    'only_unique_composite': (f'n INT NOT NULL, t VARCHAR(40) {LATIN}', 'UNIQUE KEY (n, t(4))', 'n, t'),
}
# Four characters, of which some are one under a collation; and what comes behind them.
BEGINNINGS = ['', ' ', 'a', 'A', 'a ', 'a   ', 'abc', 'abcd', 'ABCD', 'äbcd', 'abcd', 'abc ', 'ab\0d', '1234', 'ÿÿÿÿ', "it's", 'b\\cd', 'xyz\t']
TAILS = ['', '', ' ', '  ', 'e', 'E', 'e ', 'é', 'f', '\0', 'tail' * 7]


def value(rng):
        beginning = rng.choice(BEGINNINGS)
        return beginning + (rng.choice(TAILS) if len(beginning) == 4 else '')


def write(server, rng, rounds):
        """Nothing but keys: they come, go, and change into others with the same beginning, in one transaction as well."""
        with server.connect('app', servers.APP_PASSWORD, DB, charset='utf8', autocommit=False) as c, c.cursor() as cursor:
                for _ in range(rounds):
                        for name, (_, _, key) in TABLES.items():
                                for _ in range(rng.choice((1, 4, 12))):
                                        values = {'t': value(rng), 'n': rng.randrange(8)} | ({'u': value(rng)} if 'u' in key else {})
                                        kind, old = rng.random(), value(rng)
                                        if kind < 0.45:
                                                cursor.execute(f'{rng.choice(("REPLACE", "INSERT IGNORE"))} INTO {name} ({", ".join(values)}) VALUES %s',
                                                               (tuple(values.values()),))
                                        elif kind < 0.6:        # the key stays what it is
                                                cursor.execute(f"UPDATE IGNORE {name} SET t = CONCAT(t, 'x') WHERE t LIKE '____%%' AND t <= %s LIMIT 2", (old,))
                                        elif kind < 0.7:        # a value of the same beginning
                                                cursor.execute(f'UPDATE IGNORE {name} SET t = CONCAT(LEFT(t, 4), %s) WHERE CHAR_LENGTH(t) > 3 AND n = %s',
                                                               (rng.choice(TAILS), values['n']))
                                        elif kind < 0.8:
                                                cursor.execute(f'UPDATE IGNORE {name} SET t = {rng.choice(("UPPER", "LOWER"))}(t) WHERE n = %s', (values['n'],))
                                        elif kind < 0.9:
                                                cursor.execute(f'UPDATE IGNORE {name} SET t = %s, n = %s WHERE t = %s LIMIT 1', (value(rng), values['n'], old))
                                        else:
                                                cursor.execute(f'DELETE FROM {name} WHERE t = %s LIMIT 1', (old,))
                                c.rollback() if rng.random() < 0.1 else c.commit()


def there_and_back(source, destination, link):
        print(f'seed {SEED}')
        rng = random.Random(SEED)
        source.admin(f'CREATE DATABASE {DB} DEFAULT CHARACTER SET latin1')
        source.script([f'CREATE TABLE {name} ({columns}, {key}) ENGINE=InnoDB ROW_FORMAT=DYNAMIC' for name, (columns, key, _) in TABLES.items()], db=DB)
        # More than the 256 KiB that MySQL 9.7 sorts in.
        source.admin(f"INSERT INTO {DB}.blob_ SELECT CONCAT('n', n, REPEAT('x', 60000)), 9 FROM {schemas.NUMBERS} numbers WHERE n < 40")
        write(source, rng, 8)
        shop, checked = link(source, destination), {}
        shop.operate('Start', flags=1)
        write(source, rng, 8)                           # while they are copied
        shop.wait_phase('synchronizing')
        equal.wait_equal(source, destination, [DB], checked=checked)
        assert len(checked) == len(TABLES) and min(checked.values()) > 3, checked
        write(source, rng, 12)
        equal.wait_equal(source, destination, [DB])
        for name in TABLES:                             # what differs behind the prefix only is found and mended
                destination.script(['SET sql_log_bin=0', f"UPDATE IGNORE {name} SET t = CONCAT(t, 'differs') WHERE CHAR_LENGTH(t) > 3 LIMIT 3",
                                    f'DELETE FROM {name} LIMIT 1'], db=DB)
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'different'
        shop.operate('Repair')
        assert shop.get('VerificationState') == 'equal'
        equal.wait_equal(source, destination, [DB])
        steps.change_side(shop, 'Switch')               # after the agent's own comparison
        write(destination, rng, 12)
        equal.wait_equal(source, destination, [DB])
        shop.operate('Verify')
        assert shop.get('VerificationState') == 'equal'
        steps.change_side(shop, 'Rollback')
        write(source, rng, 6)
        equal.wait_equal(source, destination, [DB], checked=checked)
        assert min(checked.values()) > 3, checked


def test_mariadb(pair, link):
        there_and_back(*pair, link)


def test_mysql97(server, link):
        missing = servers.MySQL97.missing()
        if missing and os.environ.get('POLARSHIFT_TEST_ALL') != '1':
                pytest.skip(missing)
        there_and_back(server(servers.MySQL56), server(servers.MySQL97), link)
