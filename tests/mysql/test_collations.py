# SPDX-License-Identifier: LGPL-2.1-or-later
"""Row keys of text under the usual collations, of which one key has many spellings: 'a', 'A', 'á' and 'a ' are one."""

import random
import threading

import pymysql
import pytest

import equal
import schemas
import servers

TABLES = {
    'swedish': 'k VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL, v INT NOT NULL, filler VARCHAR(400), PRIMARY KEY (k)',
    'composite': 'n TINYINT NOT NULL, k CHAR(30) CHARACTER SET utf8 COLLATE utf8_general_ci NOT NULL, v INT NOT NULL, filler VARCHAR(400), '
                 'PRIMARY KEY (n, k)',
    'mb4': 'k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, v INT NOT NULL, filler VARCHAR(400), UNIQUE KEY (k)',
    'binary_text': 'k VARCHAR(40) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL, v INT NOT NULL, filler VARCHAR(400), PRIMARY KEY (k)',
}
PREFIXES = ('Ana', 'björn', 'ÇELIK ', 'da\tr', 'emil', 'Zoë!', "o'h\\ara", '')


def create(source, rows):
        source.admin("CREATE DATABASE names DEFAULT CHARACTER SET utf8mb4")
        prefix = 'ELT(1+n%8,' + ','.join(map(servers.quote, PREFIXES)) + ')'
        for name, columns in TABLES.items():
                source.admin(f'CREATE TABLE names.{name} ({columns}) ENGINE=InnoDB')
                number = 'n%5, ' if name == 'composite' else ''
                source.script(['SET NAMES utf8mb4',
                               f"INSERT INTO {name} SELECT {number}CONCAT({prefix}, CONV(n, 10, 36)), n, REPEAT('x', n%400) "
                               f'FROM {schemas.NUMBERS} numbers WHERE n < {rows}'], db='names')


class Respeller(threading.Thread):
        """Writes other spellings of keys that are there, takes rows away and brings them back spelled otherwise."""

        def __init__(self, server, seed, rows):
                super().__init__()
                self.server, self.rng, self.rows = server, random.Random(seed), rows
                self.stop, self.done, self.failure = threading.Event(), 0, None

        def spell(self, key):
                key = self.rng.choice([key, key.upper(), key.lower(), key.capitalize(), key.swapcase()])
                return key + self.rng.choice(['', '', ' ', '   '])

        def step(self, cursor):
                rng = self.rng
                table = rng.choice(list(TABLES))
                n = rng.randrange(40) if rng.random() < 0.4 else rng.randrange(self.rows)
                base = PREFIXES[n % 8] + (base36(n) if n else '0')
                where = f'k = %s AND n = {n % 5}' if table == 'composite' else 'k = %s'
                kind = rng.random()
                if kind < 0.4:
                        cursor.execute(f'UPDATE {table} SET k = %s, v = v + 1 WHERE {where}', (self.spell(base), base))
                elif kind < 0.6:
                        cursor.execute(f'UPDATE {table} SET v = v + 1 WHERE {where}', (base,))
                elif kind < 0.7:
                        cursor.execute(f'DELETE FROM {table} WHERE {where}', (base,))
                else:
                        number, columns = (f'{n % 5}, ', '(n, k, v)') if table == 'composite' else ('', '(k, v)')
                        cursor.execute(f'REPLACE INTO {table} {columns} VALUES ({number}%s, %s)', (self.spell(base), n))

        def run(self):
                try:
                        with self.server.connect('app', servers.APP_PASSWORD, 'names', charset='utf8mb4') as c, c.cursor() as cursor:
                                while not self.stop.is_set():
                                        try:
                                                for _ in range(self.rng.choice((1, 3, 20))):
                                                        self.step(cursor)
                                                c.commit()
                                                self.done += 1
                                        except (pymysql.OperationalError, pymysql.IntegrityError) as e:
                                                if e.args[0] not in (1205, 1213, 1062):
                                                        raise
                                                c.rollback()
                except Exception as e:  # pylint: disable=broad-except
                        self.failure = e


def base36(n):
        digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'
        out = ''
        while n:
                n, d = divmod(n, 36)
                out = digits[d] + out
        return out


@pytest.mark.parametrize('rows', [40000])
def test_keys_with_spellings(agent, link, pair, rows):
        """Such tables are copied in pieces without a lock, go on where they were after a crash, and are applied by all workers, while
        clients do little else than spell keys otherwise."""
        source, destination = pair
        create(source, rows)
        shop = link(source, destination, max_copy_rate=12 << 20)
        writers = [Respeller(source, seed, rows) for seed in range(3)]
        for writer in writers:
                writer.start()
        try:
                shop.operate('Start', flags=1)
                (chunks,), = destination.admin("SHOW TABLES FROM polarshift LIKE 'chunk%%'")

                def copied():
                        return {number for number, in destination.admin(f'SELECT id FROM polarshift.{chunks} WHERE lo IS NOT NULL')}
                shop.wait(lambda: len(copied()) >= 2, 60)
                agent.kill9()
                before = copied()
                agent.start()
                assert before <= copied()       # it went on, it did not begin again
                shop.wait_phase('synchronizing', 120)
                shop.wait_caught_up(120)
                (checkpoints,), = destination.admin("SHOW TABLES FROM polarshift LIKE 'ckpt%%'")
                assert destination.scalar(f'SELECT COUNT(*) FROM polarshift.{checkpoints} WHERE w >= 100000') == 3
        finally:
                for writer in writers:
                        writer.stop.set()
                        writer.join()
        assert not [w.failure for w in writers if w.failure], [w.failure for w in writers]
        print(f'{sum(w.done for w in writers)} transactions')
        equal.wait_equal(source, destination, ['names'])
