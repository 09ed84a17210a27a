# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of MySQL 5.6 with TIME, DATETIME and TIMESTAMP as they were stored before 5.6.4: what a server that was once a 5.5 has. No statement of
5.6 makes them, so the file with the table's definition is rewritten while the table is a MyISAM one without rows and keys: the old formats are as
long as one of the new ones.

    create(server, 'db', 't', ['a INT NOT NULL', 'd DATETIME'], 'PRIMARY KEY (a)')
"""

import struct

FIELD = 17              # bytes for each column in the .frm
LENGTH, TYPE = 3, 13    # in them
MADE_AS = {'TIMESTAMP': 'TIMESTAMP', 'TIME': 'TIME', 'DATETIME': 'DATETIME(6)'}
NEW = {'TIMESTAMP': 17, 'TIME': 19, 'DATETIME': 18, 'INT': 3, 'TIME(3)': 19, 'DATETIME(3)': 18}
OLD = {'TIMESTAMP': (7, 19), 'TIME': (11, 10), 'DATETIME': (12, 19)}     # type, width as text


def create(server, db, table, columns, keys=''):
        """COLUMNS: 'name TYPE …'; every TIMESTAMP, TIME and DATETIME without digits is an old one, and stays one in InnoDB."""
        parts = [column.split(' ', 2) + [''] for column in columns]
        kinds = [part[1] for part in parts]
        server.script([f'CREATE TABLE {db}.{table} (' + ', '.join(f'{p[0]} {MADE_AS.get(p[1], p[1])} {p[2]}' for p in parts) + ') ENGINE=MyISAM',
                       f'FLUSH TABLES {db}.{table}'])
        path = f'{server.datadir}/{db}/{table}.frm'
        with open(path, 'rb') as f:
                frm = bytearray(f.read())
        places = [i for i in range(len(frm) - FIELD * len(kinds)) if all(frm[i + FIELD * k + TYPE] == NEW[kind] for k, kind in enumerate(kinds))]
        assert len(places) == 1, places
        for k, kind in enumerate(kinds):
                if kind in OLD:
                        at = places[0] + FIELD * k
                        frm[at + TYPE], width = OLD[kind]
                        frm[at + LENGTH:at + LENGTH + 2] = struct.pack('<H', width)
        with open(path, 'wb') as f:
                f.write(frm)
        server.script(['SET GLOBAL avoid_temporal_upgrade = ON', f'FLUSH TABLES {db}.{table}',
                       f'ALTER TABLE {db}.{table} ENGINE=InnoDB' + (f', ADD {keys}' if keys else '')])
        assert count(server, db, table) == sum(kind in OLD for kind in kinds)


def count(server, db, table):
        """How many columns of it are old."""
        with server.connect(init_command='SET show_old_temporals=1') as c, c.cursor() as cursor:
                cursor.execute(f'SHOW CREATE TABLE {db}.{table}')
                return cursor.fetchone()[1].count('5.5 binary format')
