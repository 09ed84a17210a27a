# SPDX-License-Identifier: LGPL-2.1-or-later
"""Schemas to migrate: a shop of realistic shape, and one table for every column type and kind of key.

    schemas.create_shop(server, customers=20000)     # database `shop`, about 10 rows per customer; workload.py uses it
    schemas.create_all_types(server, rows=300)       # database `all_types`
    schemas.churn_all_types(server.connect(...), random.Random(1), rounds=5)
"""

import decimal
import struct

# A row per number below 10^6 without tables or recursion, which 5.6 has none of.
DIGITS = '(SELECT 0 d UNION ALL ' + ' UNION ALL '.join(f'SELECT {i}' for i in range(1, 10)) + ')'
NUMBERS = ('(SELECT a.d+10*b.d+100*c.d+1000*e.d+10000*f.d+100000*g.d AS n FROM '
           + ', '.join(f'{DIGITS} {name}' for name in 'abcefg') + ')')

SHOP = """
CREATE TABLE customers (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT, email VARCHAR(120) CHARACTER SET latin1 NOT NULL,
  name VARCHAR(80) NOT NULL, country CHAR(2) NOT NULL, balance DECIMAL(14,2) NOT NULL DEFAULT '0.00',
  created DATETIME NOT NULL, changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  notes TEXT, PRIMARY KEY (id), UNIQUE KEY email (email), KEY country_name (country, name(20))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE products (
  id INT NOT NULL AUTO_INCREMENT, sku CHAR(12) NOT NULL, title VARCHAR(200) NOT NULL, price DECIMAL(10,2) NOT NULL,
  weight FLOAT DEFAULT NULL, active TINYINT(1) NOT NULL DEFAULT '1', PRIMARY KEY (id), UNIQUE KEY sku (sku)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE stock (
  product_id INT NOT NULL, warehouse SMALLINT NOT NULL, quantity INT NOT NULL, counted DATE DEFAULT NULL,
  PRIMARY KEY (product_id, warehouse), KEY quantity (quantity)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, customer_id INT UNSIGNED NOT NULL,
  status ENUM('new','paid','sent','done','void') NOT NULL DEFAULT 'new', flags SET('gift','express','export') NOT NULL
  DEFAULT '', placed DATETIME(3) NOT NULL, total DECIMAL(12,2) NOT NULL, PRIMARY KEY (id), KEY customer (customer_id),
  KEY status_placed (status, placed){orders_fk}
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_lines (
  order_id BIGINT UNSIGNED NOT NULL, line SMALLINT UNSIGNED NOT NULL, product_id INT NOT NULL, quantity INT NOT NULL,
  price DECIMAL(10,2) NOT NULL, PRIMARY KEY (order_id, line), KEY product (product_id){lines_fk}
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE payments (
  id BIGINT NOT NULL AUTO_INCREMENT, order_id BIGINT UNSIGNED NOT NULL, method ENUM('card','bank','cash') NOT NULL,
  amount DECIMAL(12,2) NOT NULL, reference BINARY(16) NOT NULL, paid_at TIMESTAMP(6) NULL DEFAULT NULL, receipt BLOB,
  PRIMARY KEY (id), UNIQUE KEY reference (reference), KEY order_id (order_id){payments_fk}
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE ledger (
  writer INT NOT NULL, seq INT NOT NULL, token BINARY(16) NOT NULL, PRIMARY KEY (writer, seq), UNIQUE KEY token (token)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE ledger_log (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, writer INT NOT NULL, seq INT NOT NULL, PRIMARY KEY (id),
  KEY writer_seq (writer, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""


def create_shop(server, customers=20000, db='shop', foreign_keys=False):
        """Customers, twice as many orders, 5 lines per 2 orders, payments, stock. Returns the number of rows."""
        fk = {'orders_fk': ',\n  CONSTRAINT o_customer FOREIGN KEY (customer_id) REFERENCES customers (id)',
              'lines_fk': ',\n  CONSTRAINT l_order FOREIGN KEY (order_id) REFERENCES orders (id)',
              'payments_fk': ',\n  CONSTRAINT p_order FOREIGN KEY (order_id) REFERENCES orders (id)'}
        ddl = SHOP.format(**{k: v if foreign_keys else '' for k, v in fk.items()})
        products = max(100, min(customers // 10, 10000))
        orders = 2 * customers
        server.admin(f'CREATE DATABASE `{db}` DEFAULT CHARACTER SET utf8mb4')
        server.script([s for s in ddl.split(';\n') if s.strip()], db=db)
        filled = [
            f"""INSERT INTO customers (id, email, name, country, created, changed, notes)
                SELECT n+1, CONCAT('c', n+1, '@example.com'), CONCAT(ELT(1+n%5,'Ana','Björn','Çelik','Дарья','Emil'),
                ' ', CONV(CRC32(n),10,36)), ELT(1+n%7,'DE','FR','GB','IT','NL','PL','TR'),
                '2010-01-01' + INTERVAL n*37 MINUTE, '2014-05-01 00:00:00',
                IF(n%10=0, REPEAT(MD5(n), 1+n%8), NULL) FROM {NUMBERS} k WHERE n < {customers}""",
            f"""INSERT INTO products (id, sku, title, price, weight, active)
                SELECT n+1, LPAD(CONV(n,10,36),12,'0'), CONCAT('Product ', n+1, ' ', MD5(n)), 1+(n*7919)%100000/100,
                IF(n%9=0, NULL, n/7), n%11<>0 FROM {NUMBERS} k WHERE n < {products}""",
            f"""INSERT INTO stock SELECT n DIV 3 + 1, n%3, 1000000, IF(n%5=0,NULL,'2014-01-01' + INTERVAL n%365 DAY)
                FROM {NUMBERS} k WHERE n < {products * 3}""",
            f"""INSERT INTO orders (id, customer_id, status, flags, placed, total)
                SELECT n+1, 1+(n*7907)%{customers}, 1+n%5, n%8, '2012-01-01' + INTERVAL n*1234 SECOND + INTERVAL n%1000*1000 MICROSECOND,
                (n*31)%100000/100 FROM {NUMBERS} k WHERE n < {min(orders, 10**6)}""",
            f"""INSERT INTO order_lines SELECT o.id, l.d, 1+(o.id*13+l.d*17)%{products}, 1+l.d, (o.id+l.d)%10000/100
                FROM orders o, {DIGITS} l WHERE l.d BETWEEN 1 AND 2+o.id%2""",
            """INSERT INTO payments (order_id, method, amount, reference, paid_at, receipt)
                SELECT id, 1+id%3, total, UNHEX(MD5(id)), placed + INTERVAL 1 HOUR,
                IF(id%20=0, UNHEX(REPEAT(SHA1(id),10)), NULL) FROM orders WHERE id%4<>0"""]
        # One session, relaxed: it is the data that is wanted, not the time it takes.
        server.script(filled, db=db)
        return sum(server.scalar(f'SELECT COUNT(*) FROM `{db}`.`{t}`') for t in (
            'customers', 'products', 'stock', 'orders', 'order_lines', 'payments'))


# ---- every column type

def _ints(name, bits):
        low, high, top = -(1 << bits - 1), (1 << bits - 1) - 1, (1 << bits) - 1
        key = name.lower()
        return [(f'{key}_s', name, [0, 1, -1, low, high, low + 1]), (f'{key}_u', f'{name} UNSIGNED',
                [0, 1, top, top - 1, high, high + 1])]


def _bits(width):
        size = (width + 7) // 8
        return (f'bit_{width}', f'BIT({width})', [v.to_bytes(size, 'big') for v in (
            0, 1, (1 << width) - 1, 1 << width - 1, (0x5a5a5a5a5a5a5a5a & ((1 << width) - 1)))])


def _text(charset, samples, length=60):
        codec = {'latin1': 'cp1252', 'utf8': 'utf-8', 'utf8mb4': 'utf-8', 'ucs2': 'utf-16-be', 'gbk': 'gbk'}[charset]
        values = [s.encode(codec) for s in samples]
        return [(f'char_{charset}', f'CHAR(20) CHARACTER SET {charset}', [v for v in values if len(v) <= 20]),
                (f'varchar_{charset}', f'VARCHAR({length}) CHARACTER SET {charset}', values),
                (f'text_{charset}', f'TEXT CHARACTER SET {charset}', [v * 7 for v in values])]


_ASCII = ['', 'a', "it's", 'back\\slash', '"quoted"', 'tab\tnl\ncr\rz\x1a', 'trailing  ', '%_`']
_ALL_BYTES = bytes(range(256))


def _point(x, y):
        return struct.pack('<IBIdd', 0, 1, 1, x, y)


def _line(*points):
        return struct.pack('<IBII', 4326, 1, 2, len(points)) + b''.join(struct.pack('<dd', *p) for p in points)


def _polygon(*rings):
        return struct.pack('<IBII', 0, 1, 3, len(rings)) + b''.join(
                struct.pack('<I', len(ring)) + b''.join(struct.pack('<dd', *p) for p in ring) for ring in rings)


def _several(kind, *parts):
        """MULTIPOINT (4), MULTILINESTRING (5), MULTIPOLYGON (6), GEOMETRYCOLLECTION (7); their parts have no SRID of their own."""
        return struct.pack('<IBII', 0, 1, kind, len(parts)) + b''.join(part[4:] for part in parts)


def column_types():
        """(column, type, interesting values); values are ints, decimals, bytes, or text as SQL prints it."""
        d = decimal.Decimal
        square, hole = ((0, 0), (9, 0), (9, 9), (0, 9), (0, 0)), ((1, 1), (2, 1), (2, 2), (1, 1))
        points = _several(4, _point(1, 2)), _several(4, _point(0, 0), _point(-1.5, 1e300), _point(5e-324, -0.0))
        lines = _several(5, _line((0, 0), (1, 1))), _several(5, _line((0, 0), (1, 1), (2, 0)), _line((-3.25, 1e10), (0.1, 7)))
        polygons = _several(6, _polygon(square)), _several(6, _polygon(square, hole), _polygon(tuple((x + 20, y) for x, y in square)))
        collections = (_several(7, _point(1, 2)), _several(7, _point(0, 0), _line((0, 0), (1, 1)), _polygon(square, hole), *points, *lines, *polygons),
                       _several(7, _several(7, _point(3, 4)), _point(5, 6)))
        columns = []
        for name, bits in (('TINYINT', 8), ('SMALLINT', 16), ('MEDIUMINT', 24), ('INT', 32), ('BIGINT', 64)):
                columns += _ints(name, bits)
        columns += [
            ('int_zf', 'INT(7) UNSIGNED ZEROFILL', [0, 42, 4294967295]),
            ('bool_', 'BOOL', [0, 1, 2]),
            ('dec_10_0', 'DECIMAL(10,0)', [d(0), d(9999999999), d(-9999999999), d(-1)]),
            ('dec_30_10', 'DECIMAL(30,10)', [d('0.0000000001'), d('-99999999999999999999.9999999999'), d('1.5')]),
            ('dec_65_30', 'DECIMAL(65,30)', [d('9' * 35 + '.' + '9' * 30), d('-' + '9' * 35 + '.' + '9' * 30), d(0)]),
            ('dec_30_30', 'DECIMAL(30,30)', [d('0.' + '9' * 30), d('-0.' + '0' * 29 + '1'), d(0)]),
            ('dec_u', 'DECIMAL(9,4) UNSIGNED', [d('99999.9999'), d('0.0001'), d(0)]),
            ('float_', 'FLOAT', ['0', '-0e0', '1.17549435e-38', '3.40282347e38', '-3.40282347e38', '0.1', '16777217',
                                 '123456.789', '1e-45']),
            ('float_u', 'FLOAT UNSIGNED', ['0', '0.3333333', '9999999']),
            ('float_7_3', 'FLOAT(7,3)', ['0', '9999.999', '-1.001']),
            ('float_10_3', 'FLOAT(10,3)', ['0', '9999999.999', '-9999999.999', '-1.001', '9999999.4']),
            ('float_30_30', 'FLOAT(30,30)', ['0', '1e-30', '-0.5', '-1', '0.99999999']),
            ('double_40_20', 'DOUBLE(40,20)', ['0', '1e20', '-1e20', '0.1', '99999999999999999999.9999']),
            ('double_', 'DOUBLE', ['0', '-0e0', '2.2250738585072014e-308', '1.7976931348623157e308',
                                   '-1.7976931348623157e308', '0.1', '9007199254740993', '5e-324', '1e23']),
            ('double_10_2', 'DOUBLE(10,2)', ['0', '99999999.99', '-0.01'])]
        columns += [_bits(w) for w in (1, 5, 8, 9, 24, 33, 63, 64)]
        columns += [
            ('year_', 'YEAR', ['0000', '1901', '2014', '2155']),
            ('date_', 'DATE', ['0000-00-00', '1000-01-01', '9999-12-31', '2012-02-29', '2014-00-00', '2013-02-31']),
            ('time_0', 'TIME', ['00:00:00', '838:59:59', '-838:59:59', '-00:00:01', '23:59:59']),
            ('time_1', 'TIME(1)', ['00:00:00.1', '-00:00:00.1', '-12:34:56.7']),
            ('time_3', 'TIME(3)', ['00:00:00.001', '-00:00:00.001', '-838:59:58.999', '12:00:00']),
            ('time_6', 'TIME(6)', ['00:00:00.000001', '-00:00:00.000001', '-00:00:01.999999', '838:59:58.999999'])]
        fraction = ['', '.1', '.12', '.123', '.1234', '.12345', '.999999']
        for fsp in range(7):
                kind = f'({fsp})' if fsp else ''
                tail = fraction[fsp]
                columns.append((f'datetime_{fsp}', f'DATETIME{kind}', [
                    '0000-00-00 00:00:00', '1000-01-01 00:00:00', f'9999-12-31 23:59:59{tail}',
                    f'2014-03-30 02:30:00{tail}', f'1969-12-31 23:59:59{tail}']))
                columns.append((f'timestamp_{fsp}', f'TIMESTAMP{kind} NULL DEFAULT NULL', [
                    '0000-00-00 00:00:00', '1970-01-01 00:00:01', f'2038-01-19 03:14:07{tail if fsp < 6 else ""}',
                    f'2014-10-26 01:30:00{tail}']))
        columns.append(('timestamp_nn', "TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00'",
                        ['0000-00-00 00:00:00', '2001-09-09 01:46:40']))
        columns += _text('latin1', _ASCII + ['äöüß€'])
        columns += _text('utf8', _ASCII + ['äöüß€', '日本語', 'Ωмега'])
        columns += _text('utf8mb4', _ASCII + ['äöüß€', '😀🏳', '日本𠮷'])
        columns += _text('ucs2', ['', 'a', 'äö€', '日本語', "it's"])
        columns += _text('gbk', _ASCII + ['中文', '繁體', '誠'])      # 誠 is D5 5C: its last byte is a backslash
        columns += [
            ('binary_16', 'BINARY(16)', [b'', b'\0', b'abc', b'a\0b\0', b'\xff' * 16, b'abc ' * 4]),
            ('binary_255', 'BINARY(255)', [b'', _ALL_BYTES[:255]]),
            ('varbinary_300', 'VARBINARY(300)', [b'', _ALL_BYTES, b'\0\0', b'end  ', b'\\\'"']),
            ('varchar_long', 'VARCHAR(300) CHARACTER SET latin1', [b'', b'x' * 255, b'y' * 256, b'z' * 300]),
            ('char_255', 'CHAR(255) CHARACTER SET utf8', [b'', 'é'.encode() * 255, b'short']),
            ('tinyblob_', 'TINYBLOB', [b'', _ALL_BYTES[:255]]), ('blob_', 'BLOB', [b'', _ALL_BYTES * 20]),
            ('mediumblob_', 'MEDIUMBLOB', [b'', _ALL_BYTES * 300]),
            ('longblob_', 'LONGBLOB', [b'', _ALL_BYTES * 900, b'\0' * 70000]),
            ('tinytext_', 'TINYTEXT CHARACTER SET utf8', [b'', 'ü'.encode() * 127]),
            ('mediumtext_', 'MEDIUMTEXT CHARACTER SET utf8mb4', [b'', '😀'.encode() * 20000]),
            ('longtext_', 'LONGTEXT CHARACTER SET latin1', [b'', bytes(range(32, 127)) * 800]),
            ('enum_', "ENUM('','a','b c','d''e','ü') CHARACTER SET utf8", [b'', b'a', b'b c', b"d'e", 'ü'.encode(), 0]),
            ('enum_big', 'ENUM(' + ','.join(f"'v{i}'" for i in range(300)) + ')', [1, 255, 256, 300, 0]),
            ('set_', "SET('a','b','c''d','ü') CHARACTER SET utf8", [0, 1, 5, 15]),
            ('set_64', 'SET(' + ','.join(f"'m{i}'" for i in range(64)) + ')', [0, 1, 1 << 63, (1 << 64) - 1]),
            ('geometry_', 'GEOMETRY', [_point(1, 2), _point(-1.5, 1e300), _line((0, 0), (1, 1), (2, 0)), points[1], polygons[1], collections[1]]),
            ('point_', 'POINT', [_point(0, 0), _point(3.25, -7)]), ('linestring_', 'LINESTRING', [_line((0, 0), (1, 1))]),
            ('polygon_', 'POLYGON', [_polygon(square), _polygon(square, hole)]), ('multipoint_', 'MULTIPOINT', points),
            ('multilinestring_', 'MULTILINESTRING', lines), ('multipolygon_', 'MULTIPOLYGON', polygons),
            ('geometrycollection_', 'GEOMETRYCOLLECTION', collections)]
        return columns


# One table per kind of key: name → (columns without the payload, function of (random, i) to key values)
def _mixed(rng, i):
        words = ['Straße', 'strasse', 'ÉCOLE', 'ecole', 'Ångström', 'plain', 'UPPER', 'with space', 'naïve', '日本']
        return (words[i % len(words)] + ('' if i < len(words) else f' {i}')).encode() + (b'  ' if i % 13 == 12 else b'')


KEY_TABLES = {
    'k_composite': ('a INT NOT NULL, b VARCHAR(20) CHARACTER SET latin1 NOT NULL, c DATE NOT NULL',
                    'PRIMARY KEY (a, b, c)',
                    lambda rng, i: (i // 9 - 5, f'b{i % 3}', f'2014-01-{1 + i // 3 % 3:02d}')),
    'k_reversed': ('b INT NOT NULL, a INT NOT NULL', 'PRIMARY KEY (a, b)', lambda rng, i: (i % 10, i // 10)),
    'k_varchar_ci': ('k VARCHAR(40) CHARACTER SET utf8 COLLATE utf8_general_ci NOT NULL', 'PRIMARY KEY (k)',
                     lambda rng, i: (_mixed(rng, i),)),
    'k_varchar_uni': ('k VARCHAR(40) CHARACTER SET utf8 COLLATE utf8_unicode_ci NOT NULL', 'PRIMARY KEY (k)',
                      lambda rng, i: (_mixed(rng, i),)),
    'k_varchar_bin': ('k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL', 'PRIMARY KEY (k)',
                      lambda rng, i: (_mixed(rng, i),)),
    'k_char_latin1': ('k CHAR(12) CHARACTER SET latin1 NOT NULL', 'PRIMARY KEY (k)',
                      lambda rng, i: (f'K\xe4{i}'.encode('latin1'),)),
    'k_binary16': ('k BINARY(16) NOT NULL', 'PRIMARY KEY (k)',
                   lambda rng, i: (rng.randbytes(16) if i % 4 else rng.randbytes(3) + b'\0' * 13,)),
    'k_varbinary': ('k VARBINARY(30) NOT NULL', 'PRIMARY KEY (k)', lambda rng, i: (rng.randbytes(8) + b'\0' * (i % 3),)),
    'k_decimal': ('k DECIMAL(20,5) NOT NULL', 'PRIMARY KEY (k)', lambda rng, i: (decimal.Decimal(i * 12345 - 10**6) / 10**5,)),
    'k_datetime': ('k DATETIME(6) NOT NULL', 'PRIMARY KEY (k)',
                   lambda rng, i: (f'2014-{1 + i % 12:02d}-{1 + i // 12 % 28:02d} 01:02:03.{i:06d}',)),
    'k_timestamp': ("k TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00'", 'PRIMARY KEY (k)',
                    lambda rng, i: (f'2014-{1 + i % 12:02d}-{1 + i // 12 % 28:02d} {i // 336:02d}:00:00' if i
                                    else '0000-00-00 00:00:00',)),
    'k_timestamp_now': ('k TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)', 'PRIMARY KEY (k)',
                        lambda rng, i: (f'2015-{1 + i % 12:02d}-{1 + i // 12 % 28:02d} {i // 336 % 24:02d}:00:00.000001',)),
    'k_set_64': ('k SET(' + ','.join(f"'m{i}'" for i in range(64)) + ') NOT NULL', 'PRIMARY KEY (k)',
                 lambda rng, i: ((1 << 64) - 1 - i * 3 if i % 2 else i,)),
    'k_ubigint': ('k BIGINT UNSIGNED NOT NULL', 'PRIMARY KEY (k)', lambda rng, i: ((1 << 64) - 1 - i * 3 if i % 2 else i,)),
    'k_bigint': ('k BIGINT NOT NULL', 'PRIMARY KEY (k)',
                 lambda rng, i: (-(1 << 63) + i if i % 2 else (1 << 63) - 1 - i,)),
    'k_enum': ("k ENUM('z','y','x') NOT NULL, n INT NOT NULL", 'PRIMARY KEY (k, n)', lambda rng, i: (1 + i % 3, i)),
    'k_auto_zero': ('k INT NOT NULL AUTO_INCREMENT', 'PRIMARY KEY (k)', lambda rng, i: (i,)),
    'k_unique': ('k INT NOT NULL, u INT DEFAULT NULL, w VARCHAR(30) CHARACTER SET utf8 DEFAULT NULL',
                 'PRIMARY KEY (k), UNIQUE KEY u (u), UNIQUE KEY w (w)',
                 lambda rng, i: (i, i * 2 if i % 5 else None, f'W{i}' if i % 7 else None)),
    'odd `name`-ü.dot': ('`ke``y` INT NOT NULL, `select` INT, `sp ace` INT', 'PRIMARY KEY (`ke``y`)',
                         lambda rng, i: (i, i % 3, None)),
    'k_empty': ('k INT NOT NULL', 'PRIMARY KEY (k)', None),
}


def _quote(name):
        return '`' + name.replace('`', '``') + '`'


def literal(value):
        if value is None:
                return b'NULL'
        if isinstance(value, bytes):
                return b"x'" + value.hex().encode() + b"'" if value else b"''"
        if isinstance(value, str) and not _is_number(value):
                return b"'" + value.encode() + b"'"
        return str(value).encode()


def _is_number(text):
        try:
                float(text)
                return True
        except ValueError:
                return False


SESSION = ["SET NAMES binary", "SET SESSION time_zone='+00:00', "
           "sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"]


def all_types_row(rng, columns, i):
        """Row i: the first rows walk through every interesting value, the others mix them; a fifth is NULL."""
        row = []
        for name, _, values in columns:
                if i < 10:
                        row.append(values[i % len(values)])
                elif name != 'timestamp_nn' and rng.random() < 0.2:
                        row.append(None)
                else:
                        row.append(rng.choice(values))
        return row


def create_all_types(server, rows=200, db='all_types', seed=1):
        import random
        rng = random.Random(seed)
        columns = column_types()
        # A table's row may declare 65,535 bytes at most, blobs aside: spread over a few tables.
        server.admin(f'CREATE DATABASE `{db}` DEFAULT CHARACTER SET latin1')
        with server.connect(db=db) as c, c.cursor() as cursor:
                for sql in SESSION:
                        cursor.execute(sql)
                for t, part in enumerate(split_columns(columns)):
                        cursor.execute(f'CREATE TABLE types_{t} (id INT NOT NULL AUTO_INCREMENT, '
                                       + ', '.join(f'{n} {kind}' for n, kind, _ in part)
                                       + ', PRIMARY KEY (id)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC')
                        for i in range(rows):
                                insert_types_row(cursor, t, part, all_types_row(rng, part, i))
                for name, (cols, keys, make) in KEY_TABLES.items():
                        cursor.execute(f'CREATE TABLE {_quote(name)} ({cols}, payload VARCHAR(40) CHARACTER SET utf8 '
                                       f'DEFAULT NULL, {keys}) ENGINE=InnoDB'.encode())
                        for i in range(rows if make else 0):
                                insert_key_row(cursor, name, make(rng, i), f'payload {i}')


def split_columns(columns):
        size = 28
        return [columns[i:i + size] for i in range(0, len(columns), size)]


def insert_types_row(cursor, t, part, row):
        cursor.execute(f'INSERT INTO types_{t} ({", ".join(n for n, _, _ in part)}) VALUES ('.encode()
                       + b', '.join(map(literal, row)) + b')')


def insert_key_row(cursor, name, key, payload, verb='INSERT IGNORE'):
        cursor.execute(f'{verb} INTO {_quote(name)} VALUES ('.encode()
                       + b', '.join(map(literal, key)) + b', ' + literal(payload) + b')')


def churn_all_types(connection, rng, rounds=3, db='all_types', start=100000):
        """Inserts, updates and deletes in every table, key changes and swaps of unique values included. `start` must
        differ between calls: new keys are made from it."""
        parts = split_columns(column_types())
        with connection.cursor() as cursor:
                connection.select_db(db)
                for sql in SESSION:
                        cursor.execute(sql)
                for r in range(rounds):
                        for t, part in enumerate(parts):
                                cursor.execute('BEGIN')
                                for i in range(4):
                                        insert_types_row(cursor, t, part, all_types_row(rng, part, 10 + i))
                                row = all_types_row(rng, part, rng.randrange(20))
                                chosen = rng.sample(range(len(part)), min(6, len(part)))
                                cursor.execute(f'UPDATE types_{t} SET '.encode() + b', '.join(
                                    part[j][0].encode() + b'=' + literal(row[j]) for j in chosen)
                                    + b' ORDER BY id % 7, id LIMIT 9')
                                cursor.execute(f'UPDATE types_{t} SET id = -id WHERE id > 0 ORDER BY id LIMIT 1')
                                cursor.execute(f'DELETE FROM types_{t} WHERE id % 17 = {r} ORDER BY id LIMIT 3')
                                cursor.execute('ROLLBACK' if rng.random() < 0.1 else 'COMMIT')
                        for name, (_, _, make) in KEY_TABLES.items():
                                cursor.execute('BEGIN')
                                for i in range(5):
                                        n = start + r * 5 + i
                                        # dates and the like fold what they are made from
                                        key = make(rng, n if name not in ('k_datetime', 'k_timestamp') else
                                                   n % 4000) if make else (n,)
                                        insert_key_row(cursor, name, key, f'new {n}')
                                cursor.execute(f'UPDATE {_quote(name)} SET payload = CONCAT(payload, %s) '
                                               'ORDER BY payload LIMIT %s', (f' {r}'[:2], 1 if name == 'k_timestamp_now' else 7))
                                cursor.execute(f'DELETE FROM {_quote(name)} ORDER BY payload DESC LIMIT 2')
                                cursor.execute('COMMIT')
                        cursor.execute('BEGIN')         # two rows exchange their unique values
                        cursor.execute('SELECT k, u FROM k_unique WHERE u IS NOT NULL ORDER BY k LIMIT 2')
                        pair = cursor.fetchall()
                        if len(pair) == 2:
                                (k1, u1), (k2, u2) = pair
                                cursor.execute('UPDATE k_unique SET u = NULL WHERE k = %s', (k1,))
                                cursor.execute('UPDATE k_unique SET u = %s WHERE k = %s', (u1, k2))
                                cursor.execute('UPDATE k_unique SET u = %s WHERE k = %s', (u2, k1))
                        cursor.execute("UPDATE k_varchar_ci SET k = UPPER(k) WHERE k = 'plain'")
                        cursor.execute("UPDATE k_varchar_ci SET k = LOWER(k) WHERE k = 'upper'")
                        cursor.execute('COMMIT')
