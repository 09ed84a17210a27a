# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random schemas and rows for the differential test: what they hold depends on a seed and on a list of features only.

    schema = generate.Schema(17, generate.CARRIED)
    schema.create()             # the statements that make it, as text
    schema.fill()               # rows to begin with
    schema.script(...)          # what is written to it later: generate_statements.py

The texts are always the same for a seed; what comes of them is not, since several sessions write at a time. Some fail, on
purpose: a duplicate key, a missing parent, a value out of range.

Every kind of thing has a name and can be left out. FEATURES is all there is, CARRIED what the agent carries: a migration of
such a schema must end equal. REFUSED is what it must refuse, by that name.
"""

import random

# Kinds of tables, then of statements.
FEATURES = {
        'partitions': 'partitioned tables', 'compressed': 'compressed row format', 'wide': 'up to 1,000 columns',
        'fulltext': 'FULLTEXT keys', 'unique': 'secondary UNIQUE keys', 'foreign': 'foreign keys that restrict',
        'self': 'foreign keys to the same table', 'cascade': 'foreign keys that cascade', 'charsets': 'every character set',
        'odd-names': 'names with quotes, dots and spaces', 'text-keys': 'keys of text', 'prefix-keys': 'keys of prefixes',
        'float-keys': 'keys of FLOAT', 'geometry': 'spatial columns', 'collections': 'columns of several points, lines, polygons', 'empty-geometry': 'the empty value that MySQL 5.6 makes of a spatial column left out',
        'convert': 'CONVERT TO CHARACTER SET without a collation, or without a column of text: MySQL 5.6 then keeps the table\'s own default', 'foreign-index': 'CREATE INDEX where a FOREIGN KEY has made one',
        'ill-formed': 'text cut in the middle of a character, which MySQL 5.6 does in INSERT … SELECT',
        'loose-reals': 'FLOAT(M,D) with more than D digits, and DECIMAL beyond its own, from INSERT … SELECT', 'no-key': 'tables without a key',
        'nullable-key': 'tables whose only key may be NULL', 'large': 'rows of several hundred KiB',
        'transactions': 'transactions with savepoints and rollback', 'key-changes': 'changes of keys and swaps of unique values',
        'select': 'INSERT … SELECT, and statements of two tables', 'temporary': 'temporary tables', 'load': 'LOAD DATA',
        'settings': 'sql_mode, time zone, checks off', 'xa': 'XA transactions', 'ddl': 'ALTER, RENAME, TRUNCATE, DROP, CREATE',
        'create-select': 'CREATE TABLE … SELECT', 'partial-images': 'binlog_row_image=MINIMAL',
        'statement-format': 'binlog_format=STATEMENT', 'bulk-load': 'foreign_key_checks and unique_checks both off: MariaDB then logs rows that it takes back',
        'triggers': 'triggers', 'views': 'views and routines',
}
# What the agent refuses, what servers do that no one can follow, and what is compared by tests of its own.
LEFT_OUT = {'bulk-load', 'convert', 'foreign-index', 'create-select', 'partial-images', 'statement-format', 'triggers', 'views', 'float-keys', 'empty-geometry',
            'loose-reals', 'ill-formed'}
CARRIED = frozenset(FEATURES) - LEFT_OUT

# Character sets of MySQL 5.6 with some of their collations, and characters that they have.
CHARSETS = {
        'latin1': (['latin1_swedish_ci', 'latin1_bin', 'latin1_german1_ci', 'latin1_general_cs', 'latin1_danish_ci'], 'aÄäßé€ ÿ'),
        'utf8': (['utf8_general_ci', 'utf8_unicode_ci', 'utf8_bin', 'utf8_general_mysql500_ci', 'utf8_swedish_ci',
                  'utf8_turkish_ci', 'utf8_unicode_520_ci'], 'aÄßéΩж日本€☃'),
        'utf8mb4': (['utf8mb4_general_ci', 'utf8mb4_unicode_ci', 'utf8mb4_bin', 'utf8mb4_spanish_ci', 'utf8mb4_unicode_520_ci'],
                    'aÄßéΩж日本€😀𠮷'),
        'binary': (['binary'], 'aZ0'),
        'gbk': (['gbk_chinese_ci', 'gbk_bin'], 'a中文繁體誠ж'),
        'sjis': (['sjis_japanese_ci', 'sjis_bin'], 'aソ表能日本カナ'),
        'ucs2': (['ucs2_general_ci', 'ucs2_bin', 'ucs2_unicode_ci'], 'aÄßΩж日本€'),
        'utf16': (['utf16_general_ci', 'utf16_bin', 'utf16_unicode_ci'], 'aÄßΩж日本€😀'),
        'utf16le': (['utf16le_general_ci', 'utf16le_bin'], 'aÄßΩж日本😀'),
        'utf32': (['utf32_general_ci', 'utf32_bin', 'utf32_unicode_ci'], 'aÄßΩж日本😀'),
        'big5': (['big5_chinese_ci', 'big5_bin'], 'a功許蓋繁體'), 'cp932': (['cp932_japanese_ci', 'cp932_bin'], 'aソ表能①日本'),
        'eucjpms': (['eucjpms_japanese_ci', 'eucjpms_bin'], 'a日本カナ①'), 'ujis': (['ujis_japanese_ci', 'ujis_bin'], 'a日本カナ'),
        'euckr': (['euckr_korean_ci', 'euckr_bin'], 'a한국어'), 'gb2312': (['gb2312_chinese_ci', 'gb2312_bin'], 'a中文'),
        'latin2': (['latin2_general_ci', 'latin2_bin', 'latin2_czech_cs'], 'aŁłčžß'), 'latin5': (['latin5_turkish_ci', 'latin5_bin'], 'aİığş'),
        'latin7': (['latin7_general_ci', 'latin7_general_cs', 'latin7_bin'], 'aąčęž'), 'cp1250': (['cp1250_general_ci', 'cp1250_bin', 'cp1250_polish_ci'], 'aŁłčž€'),
        'cp1251': (['cp1251_general_ci', 'cp1251_bin', 'cp1251_ukrainian_ci'], 'aжЖїё€'), 'cp1256': (['cp1256_general_ci', 'cp1256_bin'], 'aسلام'),
        'cp1257': (['cp1257_general_ci', 'cp1257_bin', 'cp1257_lithuanian_ci'], 'aąčęž'), 'cp850': (['cp850_general_ci', 'cp850_bin'], 'aäöüß'),
        'cp852': (['cp852_general_ci', 'cp852_bin'], 'aŁłčž'), 'cp866': (['cp866_general_ci', 'cp866_bin'], 'aжЖ'),
        'dec8': (['dec8_swedish_ci', 'dec8_bin'], 'aäöü'), 'hp8': (['hp8_english_ci', 'hp8_bin'], 'aäöü'),
        'koi8r': (['koi8r_general_ci', 'koi8r_bin'], 'aжЖ'), 'koi8u': (['koi8u_general_ci', 'koi8u_bin'], 'aжїє'),
        'swe7': (['swe7_swedish_ci', 'swe7_bin'], 'aÅÄÖ'), 'ascii': (['ascii_general_ci', 'ascii_bin'], 'aZ0'),
        'hebrew': (['hebrew_general_ci', 'hebrew_bin'], 'aשלום'), 'tis620': (['tis620_thai_ci', 'tis620_bin'], 'aสวัส'),
        'greek': (['greek_general_ci', 'greek_bin'], 'aΩάς'), 'armscii8': (['armscii8_general_ci', 'armscii8_bin'], 'aԱբ'),
        'keybcs2': (['keybcs2_general_ci', 'keybcs2_bin'], 'ačž'), 'macce': (['macce_general_ci', 'macce_bin'], 'aŁłčž'),
        'macroman': (['macroman_general_ci', 'macroman_bin'], 'aäöüß'), 'geostd8': (['geostd8_general_ci', 'geostd8_bin'], 'aგ'),
}
PLAIN_CHARSETS = ['latin1', 'utf8', 'utf8mb4']
WIDTH = {'utf8': 3, 'utf8mb4': 4, 'utf16': 4, 'utf16le': 4, 'utf32': 4, 'ucs2': 2, 'gbk': 2, 'sjis': 2, 'big5': 2, 'cp932': 2,
         'eucjpms': 3, 'ujis': 3, 'euckr': 2, 'gb2312': 2}
# Any byte is a character of these.
SINGLE_BYTE = {'latin1', 'binary', 'cp850', 'cp852', 'cp866', 'koi8r', 'koi8u', 'macroman', 'cp1251', 'latin2'}
WORDS = ['', 'a', 'A', 'a ', 'a  ', 'B', 'straße', 'STRASSE', 'école', 'Ecole', "it's", 'back\\slash', '%_', '\t', 'tail\0', 'x', 'zz', '0', '-1',
         'NULL', '"', '`', 'comma,and;semi', '\r\n', '𠮷' 'e', 'i', 'I', 'ı', 'İ', 'ss', 'ﬁ', 'Å', 'aa']


def quote_name(name):
        return '`' + name.replace('`', '``') + '`'


def hexed(data):
        return "x'" + data.hex() + "'" if data else "''"


def text_literal(rng, charset, text):
        """TEXT as some client would send it: by the server's conversion from UTF-8, or as bytes."""
        if charset in SINGLE_BYTE and rng.random() < 0.3:
                return hexed(text.encode())              # bytes of UTF-8 in a column that says something else
        return '_utf8mb4 ' + hexed(text.encode()) if text else "''"


class Kind:
        """A column's type: its SQL, a maker of literals, whether it can be (part of) a key, and about how many bytes it declares."""

        def __init__(self, sql, make, key=True, size=8, prefix=False, charset=None, family=None):
                self.sql, self.make, self.key, self.size, self.prefix, self.charset, self.family = \
                        sql, make, key, size, prefix, charset, family or sql.split('(')[0].split(' ')[0]
                self.spatial = self.family in ('GEOMETRY', 'POINT', 'LINESTRING', 'POLYGON', 'MULTIPOINT', 'MULTILINESTRING', 'MULTIPOLYGON', 'GEOMETRYCOLLECTION')


def int_kind(rng):
        name, bits = rng.choice([('TINYINT', 8), ('SMALLINT', 16), ('MEDIUMINT', 24), ('INT', 32), ('INT', 32), ('INT', 32), ('BIGINT', 64)])
        unsigned = rng.random() < 0.4
        low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)

        def make(r):
                p = r.random()
                return str(r.choice([low, high, 0, 1, high - 1, low + 1]) if p < 0.15 else r.randrange(100) if p < 0.75
                           else r.randint(low, high))
        return Kind(name + (' UNSIGNED' if unsigned else '') + (' ZEROFILL' if unsigned and rng.random() < 0.1 else ''), make,
                    size=bits // 8, family='INT')


def decimal_kind(rng):
        precision = rng.choice([1, 5, 9, 10, 18, 19, 30, 38, 65])
        scale = rng.randrange(0, min(precision, 30) + 1)
        unsigned = rng.random() < 0.2
        digits = precision - scale

        def make(r):
                p = r.random()
                number = '9' * precision if p < 0.1 else '0' * (precision - 1) + '1' if p < 0.2 else '0' if p < 0.25 else \
                        str(r.randrange(200)) if p < 0.6 else str(r.randrange(10 ** precision))
                number = number.rjust(precision, '0')
                return ('-' if not unsigned and r.random() < 0.4 else '') + (number[:digits] or '0') + ('.' + number[digits:] if scale else '')
        return Kind(f'DECIMAL({precision},{scale})' + (' UNSIGNED' if unsigned else ''), make, size=precision // 2 + 1)


def real_kind(rng, features):
        single = rng.random() < 0.5
        edges = ['0', '-0e0', '0.1', '16777217', '123456.789', '-3.5', '1e10'] + (
                ['1.17549435e-38', '3.40282347e38', '-3.40282347e38', '1e-45'] if single else
                ['2.2250738585072014e-308', '1.7976931348623157e308', '9007199254740993', '5e-324', '1e23'])

        def make(r):
                return r.choice(edges) if r.random() < 0.5 else repr(r.uniform(-1e6, 1e6)) if r.random() < 0.7 else repr(r.gauss(0, 1) * 10.0 ** r.randrange(-30, 30))
        sql = 'FLOAT' if single else 'DOUBLE'
        if rng.random() < 0.15:
                sql, edges = sql + '(10,3)', ['0', '-1.001', '9999999.999']
        return Kind(sql, make, family='REAL' if '(' not in sql or 'loose-reals' in features else 'FIXED')


def bit_kind(rng):
        width = rng.choice([1, 3, 8, 9, 24, 33, 63, 64])
        return Kind(f'BIT({width})', lambda r: str(r.choice([0, 1, (1 << width) - 1, 1 << width - 1, r.randrange(1 << width)])))


def _date(r):
        return r.choice(['0000-00-00', '1000-01-01', '9999-12-31', '2012-02-29', '2014-00-00', '2013-05-00']) if r.random() < 0.15 else \
                f'{r.choice([1970, 1999, 2000, 2012, 2014, r.randrange(1000, 9999)]):04d}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}'


def _clock(r, digits):
        return f'{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}' + (f'.{r.randrange(10 ** digits):0{digits}d}' if digits else '')


def date_kind(rng):
        what, digits = rng.randrange(5), rng.choice([0, 0, 1, 2, 3, 4, 5, 6])
        fraction = f'({digits})' if digits else ''
        if what == 0:
                return Kind('DATE', lambda r: f"'{_date(r)}'", size=3)
        if what == 1:
                return Kind('YEAR', lambda r: str(r.choice([0, 1901, 2155, r.randrange(1901, 2156)])), size=1)
        if what == 2:
                def time(r):
                        return "'" + r.choice(['', '-']) + r.choice(['838:59:59', '00:00:00', '100:00:00', _clock(r, digits), _clock(r, digits)]) + "'"
                return Kind('TIME' + fraction, time, size=6)
        if what == 3:
                return Kind('DATETIME' + fraction, lambda r: f"'{_date(r)} {_clock(r, digits)}'", size=8)

        def stamp(r):
                return "'" + r.choice(['0000-00-00 00:00:00', '1970-01-02 00:00:01', '2038-01-18 03:14:07', '2014-03-30 02:30:00',
                                       f'{r.randrange(1971, 2038)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d} {_clock(r, digits)}']) + "'"
        return Kind('TIMESTAMP' + fraction, stamp, size=7, family='TIMESTAMP')


def text_kind(rng, features):
        charset = rng.choice(list(CHARSETS) if 'charsets' in features and rng.random() < 0.5 else PLAIN_CHARSETS)
        if charset == 'binary':
                return binary_kind(rng, features)
        collations, letters = CHARSETS[charset]
        collation = rng.choice(collations)
        name = rng.choice(['CHAR', 'VARCHAR', 'VARCHAR', 'VARCHAR', 'TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT'])
        width = WIDTH.get(charset, 1)
        length = rng.choice([1, 5, 10, 20, 40]) if name != 'VARCHAR' or rng.random() < 0.8 else rng.choice([85, 255, 300])
        if name == 'CHAR' and rng.random() < 0.1:
                length = 255
        long = name in ('TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT')
        most = {'TINYTEXT': 60, 'TEXT': 500, 'MEDIUMTEXT': 3000, 'LONGTEXT': 3000}.get(name, length)

        def make(r):
                p = r.random()
                if p < 0.3:
                        text = r.choice(WORDS)
                elif p < 0.9:
                        text = ''.join(r.choice(letters + 'abcxyz ') for _ in range(r.randrange(0, min(most, 12) + 1)))
                else:
                        text = r.choice(letters) * r.randrange(0, most + 1)
                return text_literal(r, charset, text[:most])
        sql = (name if long else f'{name}({length})') + f' CHARACTER SET {charset} COLLATE {collation}'
        return Kind(sql, make, key=not long and length * width <= 250, prefix=True, size=12 if long else min(length * width + 2, 800),
                    charset=charset, family='TEXT')


def binary_kind(rng, features):
        name = rng.choice(['BINARY', 'VARBINARY', 'VARBINARY', 'TINYBLOB', 'BLOB', 'MEDIUMBLOB', 'LONGBLOB'])
        long = 'BLOB' in name
        length = rng.choice([1, 4, 16, 30, 255]) if not long else {'TINYBLOB': 255, 'BLOB': 3000}.get(name, 20000)
        big = 'large' in features and name in ('MEDIUMBLOB', 'LONGBLOB') and rng.random() < 0.3

        def make(r):
                p = r.random()
                if p < 0.15:
                        return hexed(r.choice([b'', b'\0', b'a', b'a\0', b'abc \0\0', b' ', b'\\', b"'", b'\xff'])[:length])
                if p < 0.9:
                        return hexed(r.randbytes(r.randrange(0, min(length, 24) + 1)))
                if big and p > 0.995:
                        return f"REPEAT({hexed(r.randbytes(64))}, {r.randrange(1, 6000)})"
                return f"REPEAT({hexed(r.randbytes(1))}, {r.randrange(0, length + 1)})"
        return Kind(name if long else f'{name}({length})', make, key=not long and length <= 100, prefix=True, size=12 if long else length,
                    family='BINARY')


def member_kind(rng):
        some = ["a", "b", "C", "d''e", "ü", "x y", "ж", "0", "1", "zz", "日本"]
        count = rng.choice([1, 2, 5, 11])
        members = rng.sample(some, count)
        if rng.random() < 0.3:
                members[0] = ''
        charset = rng.choice(['utf8', 'utf8mb4', 'utf8'])         # in ucs2 MySQL 5.6 spoils members that occur twice in a table
        charset = f'{charset} COLLATE {charset}_general_ci'       # a server's default for it is another one on each
        if rng.random() < 0.6:
                if rng.random() < 0.2:
                        members = [f'v{i}' for i in range(rng.choice([255, 256, 300]))]
                top = len(members)
                return Kind('ENUM(' + ','.join(f"'{m}'" for m in members) + f') CHARACTER SET {charset}',
                            lambda r: str(r.choice([0, 1, top, r.randrange(1, top + 1)])) if r.random() < 0.8 else f"'{r.choice(members)}'", size=2)
        if rng.random() < 0.2:
                members = [f'm{i}' for i in range(64)]
        if '' in members:
                members[0] = 'first'
        top = (1 << len(members)) - 1
        return Kind('SET(' + ','.join(f"'{m}'" for m in members) + f') CHARACTER SET {charset}',
                    lambda r: str(r.choice([0, 1, top, r.randint(0, top)])))


def geometry_kind(rng, features):
        several = {'MULTIPOINT', 'MULTILINESTRING', 'MULTIPOLYGON', 'GEOMETRYCOLLECTION'} if 'collections' in features else set()
        what = rng.choice(['GEOMETRY', 'POINT', 'LINESTRING', 'POLYGON', *sorted(several)])

        def make(r):
                x, y = r.randrange(-99, 99), r.choice([0, 1, 0.5, -7.25, 1e300])
                shape = what if what != 'GEOMETRY' else r.choice(['POINT', 'LINESTRING', 'POLYGON', *sorted(several)])
                shapes = {'POINT': f'POINT({x} {y})', 'LINESTRING': f'LINESTRING(0 0,{x} 1,{x + 1} {y})',
                          'POLYGON': f'POLYGON((0 0,0 {abs(x) + 1},{abs(x) + 1} {abs(x) + 1},0 0))'}
                shapes |= {f'MULTI{one}': shapes[one].replace('(', '((', 1) + ')' for one in ('LINESTRING', 'POLYGON')}
                shapes |= {'MULTIPOINT': f'MULTIPOINT(1 1,{x} {y})', 'GEOMETRYCOLLECTION': f'GEOMETRYCOLLECTION({shapes["POINT"]},{shapes["LINESTRING"]})'}
                return f"ST_GeomFromText('{shapes[shape]}')"
        return Kind(what, make, key=False, size=12)


def any_kind(rng, features, key=False):
        while True:
                makers = [(5, int_kind), (2, decimal_kind), (2, lambda r: real_kind(r, features)), (2, bit_kind), (4, date_kind), (6, lambda r: text_kind(r, features)),
                          (3, lambda r: binary_kind(r, features)), (2, member_kind)]
                if 'geometry' in features and not key:
                        makers.append((1, lambda r: geometry_kind(r, features)))
                kind = rng.choices([m for _, m in makers], [w for w, _ in makers])[0](rng)
                if key and (not kind.key or kind.family == 'TEXT' and 'text-keys' not in features
                            or kind.sql.startswith('FLOAT') and 'float-keys' not in features):
                        continue
                return kind


class Column:
        def __init__(self, name, kind, null, default=None, auto=False):
                self.name, self.kind, self.null, self.default, self.auto = name, kind, null, default, auto
                self.pool = None        # values that come again and again: keys

        @property
        def quoted(self):
                return quote_name(self.name)

        def definition(self):
                sql = f'{self.quoted} {self.kind.sql} {"NULL" if self.null else "NOT NULL"}'
                if self.auto:
                        return sql + ' AUTO_INCREMENT'
                return sql + (f' DEFAULT {self.default}' if self.default else '')

        def value(self, r):
                if self.null and r.random() < 0.15:
                        return 'NULL'
                if self.pool and r.random() < 0.85:
                        return r.choice(self.pool)
                return self.kind.make(r)


class Table:
        def __init__(self, name):
                self.name = name
                self.columns, self.key, self.keys, self.options, self.foreign = [], [], [], '', []
                self.findable = True    # each row has a key of its own
                self.auto = None
                self.converted = False  # to another character set than its columns say

        @property
        def quoted(self):
                return quote_name(self.name)

        def create(self):
                parts = [c.definition() for c in self.columns] + self.keys + self.foreign
                return f'CREATE TABLE {self.quoted} ({", ".join(parts)}) ENGINE=InnoDB {self.options}'

        def others(self):
                """Columns that are no part of the key."""
                return [c for c in self.columns if c not in self.key]


ODD_NAMES = ['{}.dot', '{} space', '{}`tick', "{}'quote", '{}"double', '{}\\back', 'ü{}', '{}日本', '☃{}', '{}%', '{};', '--{}', '{}#', 'order{}', '{}/*',
             '@{}', '{}?', '?{}', ':{}', '{{{}}}', '{}$', '1{}']
KEYWORDS = ['select', 'key', 'group', 'table', 'primary', 'index', 'rank', 'system', 'lateral', 'row', 'offset', 'values', 'seq', 'part']


class Schema:
        """One database. `seed` and `features` decide everything."""

        def __init__(self, seed, features=CARRIED, tables=None):
                self.seed, self.features = seed, frozenset(features)
                self.rng = random.Random(f'schema {seed}')
                # Each thing has its own random numbers, so that leaving a feature out changes little else.
                self.db = f'diff_{seed}' if 'odd-names' not in self.features or self.rng.random() < 0.7 else self._name(f'diff_{seed}', 1.0)
                self.charset = self.rng.choice(PLAIN_CHARSETS)
                self.tables = [self._table(i) for i in range(tables or self.rng.choice([3, 4, 5, 6, 7]))]
                self._foreign_keys()

        def _name(self, plain, chance=0.15):
                if 'odd-names' in self.features and self.rng.random() < chance:
                        return self.rng.choice(ODD_NAMES).format(plain)
                return plain

        def _table(self, i):
                rng = self.rng
                table = Table(self._name(f't{i}'))
                self._key(table, i)
                count = rng.choice([1, 2, 3, 4, 6, 8, 12, 20])
                if 'wide' in self.features and rng.random() < 0.01:
                        count = rng.choice([150, 400, 990])
                room = 40000 - sum(c.kind.size for c in table.columns)
                for n in range(count):
                        kind = any_kind(rng, self.features) if count < 100 else rng.choice([int_kind, date_kind, bit_kind])(rng)
                        if kind.size > room or (kind.size > 100 and count > 20):
                                continue
                        room -= kind.size
                        table.columns.append(self._column(f'c{n}', kind))
                rng.shuffle(table.columns)
                self._secondary(table)
                self._options(table)
                for column in table.columns:
                        if column in table.key or f'({column.quoted}' in ' '.join(table.keys):
                                column.pool = [column.kind.make(rng) for _ in range(rng.choice([5, 30, 80, 200]))]
                return table

        def _column(self, name, kind, null=None, key=False):
                rng = self.rng
                name = rng.choice(KEYWORDS) + name[1:] if 'odd-names' in self.features and rng.random() < 0.1 else self._name(name)
                null = rng.random() < 0.7 if null is None else null
                null = null or kind.spatial and 'empty-geometry' not in self.features
                default = None
                if kind.family == 'TIMESTAMP':          # else the server adds a default of its own to the first one
                        default = rng.choice([None if null else "'0000-00-00 00:00:00'", "'0000-00-00 00:00:00'", f"CURRENT_TIMESTAMP{kind.sql[9:]}",
                                              f"CURRENT_TIMESTAMP{kind.sql[9:]} ON UPDATE CURRENT_TIMESTAMP{kind.sql[9:]}"]) or 'NULL'
                elif not key and kind.family in ('INT', 'DECIMAL', 'DATE', 'TIME', 'YEAR') and rng.random() < 0.3:
                        default = kind.make(rng)
                        if kind.family == 'INT' and ('UNSIGNED' not in kind.sql and default.startswith('-') or len(default) > 2):
                                default = '7'
                return Column(name, kind, null, default)

        def _key(self, table, i):
                rng = self.rng
                styles = ['auto', 'auto', 'int', 'any', 'composite', 'unique']
                styles += [s for s, f in (('none', 'no-key'), ('nullable', 'nullable-key'), ('prefix', 'prefix-keys')) if f in self.features]
                style = rng.choice(styles) if i else 'auto'
                table.findable = style not in ('none', 'nullable')
                if style in ('auto', 'int'):
                        sql = rng.choice(['INT', 'INT UNSIGNED', 'BIGINT', 'BIGINT UNSIGNED', 'MEDIUMINT'])
                        column = Column(self._name('id'), Kind(sql, lambda r: str(r.randrange(1, 400)), family='INT'), False, auto=style == 'auto')
                        table.columns.append(column)
                        table.key = [column]
                        table.auto = column if style == 'auto' else None
                elif style in ('any', 'unique', 'composite', 'nullable'):
                        for n in range(rng.choice([2, 3]) if style == 'composite' else rng.choice([1, 1, 2]) if style != 'any' else 1):
                                column = self._column(f'k{n}', any_kind(rng, self.features, key=True), null=style == 'nullable' and n == 0, key=True)
                                table.columns.append(column)
                                table.key.append(column)
                elif style == 'prefix':
                        column = self._column('k', rng.choice([lambda: text_kind(rng, self.features), lambda: binary_kind(rng, self.features)])(), null=False, key=True)
                        table.columns.append(column)
                        table.key.append(column)
                        table.keys.append(f'PRIMARY KEY ({column.quoted}({rng.choice([1, 4, 10])}))')
                        return
                if table.key:
                        kind = 'UNIQUE KEY' if style in ('unique', 'nullable') else 'PRIMARY KEY'
                        table.keys.append(f'{kind} ({", ".join(c.quoted for c in rng.sample(table.key, len(table.key)))})')

        def _secondary(self, table):
                rng = self.rng
                candidates = [c for c in table.others() if c.kind.key and c.kind.family not in ('REAL',)]
                for n in range(rng.choice([0, 0, 1, 1, 2, 3])):
                        if not candidates:
                                return
                        chosen = rng.sample(candidates, min(len(candidates), rng.choice([1, 1, 2])))
                        unique = 'unique' in self.features and rng.random() < 0.35 and all(c.kind.family != 'TEXT' or 'text-keys' in self.features for c in chosen)
                        table.keys.append(f'{"UNIQUE " if unique else ""}KEY {quote_name(self._name(f"i{n}"))} ({", ".join(c.quoted for c in chosen)})')
                texts = [c for c in table.columns if c.kind.family == 'TEXT' and c.kind.charset in ('latin1', 'utf8', 'utf8mb4')]
                if 'fulltext' in self.features and texts and rng.random() < 0.2:
                        table.keys.append(f'FULLTEXT KEY ({rng.choice(texts).quoted})')

        def _options(self, table):
                rng = self.rng
                if rng.random() < 0.5:
                        charset = rng.choice(PLAIN_CHARSETS)
                        table.options = f'DEFAULT CHARSET={charset} COLLATE {CHARSETS[charset][0][0]}'
                if 'compressed' in self.features and rng.random() < 0.15:
                        table.options += f' ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE={rng.choice([4, 8])}'
                else:
                        table.options += rng.choice([' ROW_FORMAT=DYNAMIC', ' ROW_FORMAT=DYNAMIC', ' ROW_FORMAT=COMPACT', ' ROW_FORMAT=REDUNDANT', ''])
                if rng.random() < 0.2:
                        table.options += " COMMENT='it''s a \\\\ comment ü'"
                plain = not any(k.startswith(('UNIQUE', 'FULLTEXT')) for k in table.keys) and not any(c.kind.spatial for c in table.columns)
                if 'partitions' in self.features and plain and len(table.key) == 1 and table.key[0].kind.family == 'INT' and rng.random() < 0.25:
                        name = table.key[0].quoted
                        table.options += rng.choice([
                            f' PARTITION BY HASH ({name}) PARTITIONS 3', f' PARTITION BY KEY ({name}) PARTITIONS 2', ' PARTITION BY KEY () PARTITIONS 4',
                            f' PARTITION BY RANGE ({name}) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)'])

        def _foreign_keys(self):
                rng = self.rng
                wanted = [f for f in ('foreign', 'self', 'cascade') if f in self.features]
                parents = [t for t in self.tables if len(t.key) == 1 and t.key[0].kind.family == 'INT' and 'PARTITION' not in t.options]
                for child in self.tables:
                        if not wanted or not parents or 'PARTITION' in child.options or rng.random() > 0.4:
                                continue
                        feature = rng.choice(wanted)
                        parent = child if feature == 'self' and child in parents else rng.choice(parents)
                        if feature == 'cascade' and not (child.findable and parent.findable):   # refused
                                feature = 'foreign'
                        if parent is child and 'self' not in wanted:
                                continue
                        sql = parent.key[0].kind.sql
                        column = Column(f'f{len(child.columns)}', Kind(sql, parent.key[0].kind.make, family='INT'), True)
                        column.pool = parent.key[0].pool
                        child.columns.append(column)
                        action = rng.choice(['', ' ON DELETE RESTRICT', ' ON DELETE NO ACTION ON UPDATE RESTRICT']) if feature != 'cascade' else rng.choice(
                                [' ON DELETE CASCADE', ' ON DELETE SET NULL', ' ON DELETE CASCADE ON UPDATE CASCADE', ' ON UPDATE CASCADE', ' ON DELETE SET NULL ON UPDATE SET NULL'])
                        child.foreign.append(f'FOREIGN KEY ({column.quoted}) REFERENCES {parent.quoted} ({parent.key[0].quoted}){action}')

        # ---- texts

        def create(self):
                collation = self.rng.choice(CHARSETS[self.charset][0])
                yield f'CREATE DATABASE {quote_name(self.db)} DEFAULT CHARACTER SET {self.charset} COLLATE {collation}'
                yield f'USE {quote_name(self.db)}'
                yield 'SET foreign_key_checks=0'
                for table in self.tables:
                        yield table.create()

        def fill(self):
                """Rows to begin with."""
                rng = random.Random(f'fill {self.seed}')
                yield f'USE {quote_name(self.db)}'
                yield from ("SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00'", 'SET foreign_key_checks=0')
                for table in self.tables:
                        names = ', '.join(c.quoted for c in table.columns)
                        rows = rng.choice([0, 1, 30, 100, 300]) if len(table.columns) < 100 else 20
                        for start in range(0, rows, 10):
                                values = ', '.join('(' + ', '.join(c.value(rng) for c in table.columns) + ')' for _ in range(min(10, rows - start)))
                                yield f'INSERT IGNORE INTO {table.quoted} ({names}) VALUES {values}'

        def describe(self):
                return f'{quote_name(self.db)}: {len(self.tables)} tables, {sum(len(t.columns) for t in self.tables)} columns'
