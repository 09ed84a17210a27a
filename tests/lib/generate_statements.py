# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random statements for a schema of generate.py: one Script per session, for the mariadb command-line client with --force.

    for sql in generate_statements.Script(schema, 'sync', session=0, folder=dir).statements(5000): ...

Statements name their columns, so that most still work when another session has added or dropped some.
"""

import os
import random

from generate import Column, Kind, any_kind, quote_name

MODES = ['', 'NO_AUTO_VALUE_ON_ZERO', 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', 'STRICT_TRANS_TABLES', 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE',
         'PAD_CHAR_TO_FULL_LENGTH', 'NO_BACKSLASH_ESCAPES']
ZONES = ['+00:00', '+05:30', '-11:00', '+13:00', 'SYSTEM']


class Script:
        """What one session sends during one part of the migration. `part` names the part; each has texts of its own."""

        def __init__(self, schema, part, session, folder=None):
                self.schema, self.folder = schema, folder
                self.features = schema.features
                self.rng = random.Random(f'script {schema.seed} {part} {session}')
                self.tag = f'{part}{session}'
                self.session = session
                self.tables = list(schema.tables)
                self.files = 0
                self.made = 0
                self.kinds = self._kinds()

        def _kinds(self):
                always = [(30, self._insert), (20, self._update), (10, self._delete), (6, self._replace), (8, self._on_duplicate)]
                optional = [('key-changes', 6, self._change_key), ('key-changes', 3, self._swap), ('select', 4, self._insert_select),
                            ('select', 2, self._two_tables), ('transactions', 8, self._transaction), ('temporary', 1, self._temporary),
                            ('load', 1, self._load), ('settings', 2, self._setting), ('xa', 2, self._xa),
                            ('create-select', 0.2, self._create_select), ('statement-format', 0.1, self._statement_format)]
                if self.session == 0:
                        optional.append(('ddl', 0.7, self._ddl))
                kinds = always + [(w, f) for name, w, f in optional if name in self.features and (name != 'load' or self.folder)]
                return [f for _, f in kinds], [w for w, _ in kinds]

        def header(self):
                rng = self.rng
                yield 'SET NAMES utf8mb4 COLLATE utf8mb4_general_ci'
                yield f'USE {quote_name(self.schema.db)}'
                yield 'SET SESSION innodb_lock_wait_timeout=1, lock_wait_timeout=20'
                mode, zone = (rng.choice(MODES), rng.choice(ZONES)) if 'settings' in self.features else ('ALLOW_INVALID_DATES', '+00:00')
                yield f"SET SESSION sql_mode='{mode}', time_zone='{zone}'"
                if 'partial-images' in self.features:
                        yield f"SET SESSION binlog_row_image={rng.choice(['FULL', 'MINIMAL', 'NOBLOB'])}"

        def statements(self, count):
                """COUNT statements, more or less: what belongs together is not cut."""
                yield from self.header()
                made = 0
                makers, weights = self.kinds
                while made < count:
                        for sql in self.rng.choices(makers, weights)[0]():
                                yield sql
                                made += 1

        # ---- pieces

        def _table(self):
                return self.rng.choice(self.tables)

        def _row(self, columns):
                return '(' + ', '.join(c.value(self.rng) for c in columns) + ')'

        def _columns(self, table):
                """Those of an INSERT: all, or all that have to be there."""
                if self.rng.random() < 0.7:
                        return table.columns
                return [c for c in table.columns if c in table.key or (not c.null and not c.default) or self.rng.random() < 0.5]

        def _into(self, table, columns):
                return f'INTO {table.quoted} ({", ".join(c.quoted for c in columns)})'

        def _one(self, table):
                """A condition that few rows fulfil."""
                columns = table.key or [self.rng.choice(table.columns)]
                parts = []
                for column in columns:
                        value = column.value(self.rng)
                        parts.append(f'{column.quoted} <=> {value}' if not column.kind.spatial else '1=1')
                return ' AND '.join(parts)

        def _where(self, table):
                rng = self.rng
                p = rng.random()
                if p < 0.65:
                        return f'WHERE {self._one(table)} LIMIT {rng.choice([1, 1, 3, 10])}'
                column = rng.choice(table.columns)
                if p < 0.75 and table.key and table.key[0].kind.family == 'INT':
                        return f'WHERE {table.key[0].quoted} % {rng.choice([7, 13, 29])} = {rng.randrange(7)} LIMIT {rng.choice([2, 5, 20])}'
                if p < 0.85:
                        return f'WHERE {column.quoted} IS {rng.choice(["", "NOT "])}NULL LIMIT {rng.choice([1, 5])}'
                return f'ORDER BY {column.quoted}{rng.choice(["", " DESC"])} LIMIT {rng.choice([1, 2, 5])}'

        def _assign(self, table, keys=False):
                rng = self.rng
                columns = table.columns if keys else table.others()
                columns = columns or table.columns
                chosen = rng.sample(columns, min(len(columns), rng.choice([1, 1, 2, 4])))
                parts = []
                for column in chosen:
                        value = column.value(rng)
                        p = rng.random()
                        if p < 0.1 and column.kind.family == 'INT':
                                value = f'{column.quoted} {rng.choice(["+", "-", "*", "^"])} {rng.randrange(1, 5)}'
                        elif p < 0.1 and column.kind.family in ('TEXT', 'BINARY'):
                                value = f'{rng.choice(["CONCAT", "CONCAT", "INSERT"])}({column.quoted}, {value})'.replace('INSERT(', 'COALESCE(')
                        parts.append(f'{column.quoted} = {value}')
                return ', '.join(parts)

        # ---- statements

        def _insert(self):
                table = self._table()
                columns = self._columns(table)
                if table.auto and self.rng.random() < 0.5:
                        columns = [c for c in columns if c is not table.auto]
                if not columns:
                        columns = table.columns
                rows = ', '.join(self._row(columns) for _ in range(self.rng.choice([1, 1, 1, 1, 2, 3, 10] if len(table.columns) < 100 else [1])))
                yield f'INSERT {self.rng.choice(["", "", "IGNORE "])}{self._into(table, columns)} VALUES {rows}'

        def _update(self):
                table = self._table()
                yield f'UPDATE {table.quoted} SET {self._assign(table)} {self._where(table)}'

        def _delete(self):
                table = self._table()
                yield f'DELETE FROM {table.quoted} {self._where(table)}'

        def _replace(self):
                table = self._table()
                columns = self._columns(table)
                yield f'REPLACE {self._into(table, columns)} VALUES {", ".join(self._row(columns) for _ in range(self.rng.choice([1, 1, 3])))}'

        def _on_duplicate(self):
                table = self._table()
                columns = self._columns(table)
                yield (f'INSERT {self._into(table, columns)} VALUES {", ".join(self._row(columns) for _ in range(self.rng.choice([1, 1, 3])))} '
                       f'ON DUPLICATE KEY UPDATE {self._assign(table, self.rng.random() < 0.2)}')

        def _change_key(self):
                table = self._table()
                if not table.key:
                        return
                column = self.rng.choice(table.key)
                if column.kind.family == 'INT' and self.rng.random() < 0.5:
                        by = self.rng.choice(['+ 1', '- 1', '+ 1000', '* -1', '^ 1'])
                        yield f'UPDATE {table.quoted} SET {column.quoted} = {column.quoted} {by} ORDER BY {column.quoted}{self.rng.choice(["", " DESC"])} LIMIT {self.rng.choice([1, 3, 8])}'
                elif column.kind.family == 'TEXT' and self.rng.random() < 0.5:
                        yield f'UPDATE {table.quoted} SET {column.quoted} = {self.rng.choice(["UPPER", "LOWER", "REVERSE", "TRIM"])}({column.quoted}) {self._where(table)}'
                else:
                        yield f'UPDATE {table.quoted} SET {self._assign(table, True)}, {column.quoted} = {column.value(self.rng)} {self._where(table)}'

        def _swap(self):
                """Two rows exchange what is in a column, by way of a third value or of NULL."""
                table = self._table()
                pooled = [c for c in table.columns if c.pool]
                if not pooled:
                        return
                column = self.rng.choice(pooled)
                first, second, third = self.rng.choice(column.pool), self.rng.choice(column.pool), column.kind.make(self.rng)
                yield 'BEGIN'
                for new, old in ((third, first), (first, second), (second, third)):
                        yield f'UPDATE {table.quoted} SET {column.quoted} = {new} WHERE {column.quoted} <=> {old} LIMIT 1'
                yield self.rng.choice(['COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'])

        def _insert_select(self):
                table, other = self._table(), self._table()
                columns = [c for c in self._columns(table) if c is not table.auto] or table.columns
                values = []
                for column in columns:
                        same = [c for c in other.columns if c.kind.family == column.kind.family]
                        if column.kind.family in ('TEXT', 'BINARY') and 'ill-formed' not in self.features or \
                                        column.kind.family == 'DECIMAL' and 'loose-reals' not in self.features:
                                same = [c for c in same if c.kind.sql == column.kind.sql]
                        values.append(self.rng.choice(same).quoted if same and self.rng.random() < 0.6 else column.value(self.rng))
                yield f'{self.rng.choice(["INSERT IGNORE", "INSERT", "REPLACE"])} {self._into(table, columns)} SELECT {", ".join(values)} FROM {other.quoted} LIMIT {self.rng.choice([1, 5, 20])}'

        def _two_tables(self):
                a, b = self._table(), self._table()
                if a is b or not a.key or not b.key:
                        return
                pairs = [(x, y) for x in a.columns for y in b.columns if x.kind.family == y.kind.family and x.kind.key and y.kind.key and x.kind.family == 'INT']
                if not pairs:
                        return
                x, y = self.rng.choice(pairs)
                condition = f'x.{x.quoted} = y.{y.quoted} AND x.{x.quoted} BETWEEN {self.rng.randrange(90)} AND {self.rng.randrange(100)}'
                if self.rng.random() < 0.5:
                        yield f'DELETE x{self.rng.choice(["", ", y"])} FROM {a.quoted} x JOIN {b.quoted} y ON {condition}'
                else:
                        c, d = self.rng.choice(a.others() or a.columns), self.rng.choice(b.others() or b.columns)
                        yield (f'UPDATE {a.quoted} x JOIN {b.quoted} y ON {condition} SET x.{c.quoted} = {c.value(self.rng)}, y.{d.quoted} = {d.value(self.rng)}')

        def _plain(self):
                maker = self.rng.choice([self._insert, self._insert, self._update, self._update, self._delete, self._replace, self._on_duplicate]
                                        + ([self._change_key] if 'key-changes' in self.features else []))
                yield from maker()

        def _transaction(self):
                rng = self.rng
                yield rng.choice(['BEGIN', 'START TRANSACTION', 'SET autocommit=0'])
                savepoints = 0
                for _ in range(rng.choice([1, 2, 3, 5, 10])):
                        p = rng.random()
                        if p < 0.15:
                                savepoints += 1
                                yield f'SAVEPOINT s{savepoints}'
                        elif p < 0.3 and savepoints:
                                yield f'ROLLBACK TO s{rng.randrange(1, savepoints + 1)}'
                        elif p < 0.33 and savepoints:
                                yield f'RELEASE SAVEPOINT s{savepoints}'
                        else:
                                yield from self._plain()
                yield rng.choice(['COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'])
                yield 'SET autocommit=1'

        def _temporary(self):
                table = self._table()
                name = f'`tmp {self.tag}`'
                yield f'CREATE TEMPORARY TABLE {name} LIKE {table.quoted}'
                columns = ', '.join(c.quoted for c in table.columns)     # the other session may add some
                yield f'INSERT IGNORE INTO {name} ({columns}) SELECT {columns} FROM {table.quoted} LIMIT 20'
                if self.rng.random() < 0.5:
                        yield 'BEGIN'
                        yield from self._plain()
                        yield f'DELETE FROM {name} LIMIT 3'
                        yield f'REPLACE INTO {table.quoted} ({columns}) SELECT {columns} FROM {name} LIMIT 5'
                        yield self.rng.choice(['COMMIT', 'ROLLBACK'])
                yield f'DROP TEMPORARY TABLE {name}'

        def _load(self):
                table = self._table()
                columns = [c for c in table.columns if c.kind.family in ('INT', 'DECIMAL', 'DATE', 'DATETIME', 'YEAR', 'REAL')]
                if not columns:
                        return
                self.files += 1
                path = os.path.join(self.folder, f'load-{self.schema.seed}-{self.tag}-{self.files}')
                with open(path, 'w', encoding='utf-8') as f:
                        for _ in range(self.rng.choice([1, 10, 100])):
                                f.write('\t'.join(v if (v := c.value(self.rng)) != 'NULL' else '\\N' for c in columns).replace("'", '') + '\n')
                yield (f"LOAD DATA LOCAL INFILE '{path}' {self.rng.choice(['IGNORE', 'REPLACE'])} INTO TABLE {table.quoted} "
                       f'({", ".join(c.quoted for c in columns)})')

        def _setting(self):
                rng = self.rng
                settings = [f"sql_mode='{rng.choice(MODES)}'", f"time_zone='{rng.choice(ZONES)}'", f'foreign_key_checks={rng.randrange(2)}',
                            f'unique_checks={rng.randrange(2)}', f'insert_id={rng.randrange(1, 500)}', f'timestamp={rng.randrange(1, 2000000000)}',
                            f'auto_increment_increment={rng.choice([1, 1, 2, 10])}', 'timestamp=DEFAULT',
                            f"character_set_client={rng.choice(['utf8', 'utf8mb4', 'latin1'])}"]
                if 'partial-images' in self.features:
                        settings.append(f"binlog_row_image={rng.choice(['FULL', 'MINIMAL', 'NOBLOB'])}")
                setting = rng.choice(settings)
                yield f'SET SESSION {setting}'
                if setting.endswith('checks=0') and 'bulk-load' not in self.features:
                        yield f"SET SESSION {'unique' if setting.startswith('foreign') else 'foreign_key'}_checks=1"
                if setting.startswith('character_set_client'):
                        yield 'SET NAMES utf8mb4 COLLATE utf8mb4_general_ci'

        def _xa(self):
                self.made += 1
                xid = f"'{self.tag}-{self.made}'"
                yield f'XA START {xid}'
                for _ in range(self.rng.choice([1, 2, 4])):
                        yield from self._plain()
                yield f'XA END {xid}'
                p = self.rng.random()
                if p < 0.4:
                        yield f'XA COMMIT {xid} ONE PHASE'
                else:
                        if p < 0.9:
                                yield f'XA PREPARE {xid}'
                        yield f'XA {"COMMIT" if p < 0.7 else "ROLLBACK"} {xid}'
                yield f'XA ROLLBACK {xid}'              # when something above failed; else an error that harms nobody

        def _create_select(self):
                table = self._table()
                self.made += 1
                yield f'CREATE TABLE `cs {self.tag} {self.made}` SELECT * FROM {table.quoted} LIMIT 10'

        def _statement_format(self):
                yield 'SET SESSION binlog_format=STATEMENT'
                yield from self._plain()
                yield 'SET SESSION binlog_format=ROW'

        # ---- DDL: by the first session only, which knows then what there is

        def _ddl(self):
                rng = self.rng
                table = self._table()
                self.made += 1
                new = quote_name(f'n{self.tag}_{self.made}')
                p = rng.random()
                if p < 0.3:
                        kind = any_kind(rng, self.features)
                        column = Column(new[1:-1], kind, True, 'NULL' if kind.family == 'TIMESTAMP' else None)
                        where = rng.choice(['', '', ' FIRST', f' AFTER {rng.choice(table.columns).quoted}'])
                        table.columns.append(column)
                        yield f'ALTER TABLE {table.quoted} ADD COLUMN {column.definition()}{where}'
                elif p < 0.4 and len(table.others()) > 3:
                        column = rng.choice([c for c in table.others() if not c.pool] or table.others())
                        table.columns.remove(column)
                        yield f'ALTER TABLE {table.quoted} DROP COLUMN {column.quoted}'
                elif p < 0.5:
                        column = rng.choice(table.others() or table.columns)
                        if column.kind.family == 'INT' and column not in table.key:
                                column.kind = Kind('BIGINT', column.kind.make, family='INT')
                        elif column.kind.sql.startswith('VARCHAR('):
                                length, rest = column.kind.sql[8:].split(')', 1)
                                column.kind.sql = f'VARCHAR({int(length) + 10}){rest}'
                        if not column.auto:
                                yield f'ALTER TABLE {table.quoted} MODIFY COLUMN {column.definition()}'
                elif p < 0.6:
                        columns = [c for c in table.columns if c.kind.key and ('foreign-index' in self.features or f'({c.quoted})' not in ''.join(table.foreign))]
                        if columns:
                                yield f'{rng.choice(["CREATE INDEX", "CREATE INDEX", "CREATE UNIQUE INDEX"])} {new} ON {table.quoted} ({rng.choice(columns).quoted})'
                elif p < 0.65:
                        yield f'ALTER TABLE {table.quoted} DROP KEY i0'
                elif p < 0.75:
                        yield f'CREATE TABLE {new} LIKE {table.quoted}'
                        yield f'INSERT INTO {new} SELECT * FROM {table.quoted}'
                        if rng.random() < 0.4:
                                yield f'DROP TABLE {new}'
                elif p < 0.8:
                        yield f'RENAME TABLE {table.quoted} TO {new}, {new} TO {table.quoted}' if rng.random() < 0.4 else f'RENAME TABLE {table.quoted} TO {new}'
                        yield f'RENAME TABLE {new} TO {table.quoted}'
                elif p < 0.84:
                        yield f'TRUNCATE TABLE {table.quoted}'
                elif p < 0.88:
                        yield f'DROP TABLE {table.quoted}'
                        yield table.create()
                        table.converted = False
                elif p < 0.92:
                        yield f'ALTER TABLE {table.quoted} {rng.choice(["ENGINE=InnoDB", "ROW_FORMAT=DYNAMIC", "COMMENT=" + chr(39) + "c" + chr(39), "AUTO_INCREMENT=5000", "FORCE"])}'
                elif p < 0.96:
                        column = rng.choice(table.others() or table.columns)
                        if column not in table.key and not column.auto:
                                old, column.name = column.quoted, new[1:-1]
                                yield f'ALTER TABLE {table.quoted} CHANGE COLUMN {old} {column.definition()}'
                elif 'convert' in self.features or any(c.kind.family == 'TEXT' for c in table.columns):
                        charset = rng.choice(['utf8', 'utf8mb4'])
                        collation = '' if 'convert' in self.features else f' COLLATE {charset}_unicode_ci'
                        # Twice there and back makes TEXT of one character set into MEDIUMTEXT of the same, which is then cut: ill-formed.
                        if 'ill-formed' in self.features or not table.converted:
                                yield f'ALTER TABLE {table.quoted} CONVERT TO CHARACTER SET {charset}{collation}'
                        table.converted = True
