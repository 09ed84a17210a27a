#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Are two servers equal? Reads every row of every table on both and compares bytes; shares no code with the agent.

    differences = equal.compare(source, destination)     # list of text, empty when equal
    equal.wait_equal(source, destination, timeout=30)    # for quiet sides whose link may still be draining
    equal.compare(a, b, databases=['shop'], checked={})  # checked[table] = rows compared

From the command line, as user root over the sockets: tests/lib/equal.py SOCKET_A SOCKET_B [DATABASE...]
"""

import collections
import re
import sys
import time

import pymysql
from pymysql.cursors import SSCursor

SYSTEM = ('mysql', 'information_schema', 'performance_schema', 'sys', 'polarshift')
MAX_PER_TABLE = 3


def _name(*parts):
        return '.'.join('`' + p.replace('`', '``') + '`' for p in parts)


def _session(server):
        """Bytes as they lie in the table: no conversion by the server, none by pymysql."""
        c = server.connect(charset='latin1', use_unicode=False, conv={})
        with c.cursor() as cursor:
                cursor.execute('SET NAMES binary')
                cursor.execute("SET SESSION time_zone='+00:00', sql_mode='', net_write_timeout=600, max_sort_length=4096,"
                               'sort_buffer_size=8388608')
        return c


def _rows(session, sql):
        with session.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())


def _list(items):
        return ','.join("'" + i.replace('\\', '\\\\').replace("'", "''") + "'" for i in items)


def _tables(session, databases):
        where = f'IN ({_list(databases)})' if databases else f'NOT IN ({_list(SYSTEM)})'
        return {(db, name): (kind, engine, collation) for db, name, kind, engine, collation in _rows(
                session, 'SELECT table_schema, table_name, table_type, engine, table_collation '
                f'FROM information_schema.tables WHERE table_schema {where}')}


def _databases(session, databases):
        where = f'IN ({_list(databases)})' if databases else f'NOT IN ({_list(SYSTEM)})'
        return {row[0]: tuple(_plain(v) for v in row[1:]) for row in _rows(
                session, 'SELECT schema_name, default_character_set_name, default_collation_name '
                f'FROM information_schema.schemata WHERE schema_name {where}')}


def _plain(text):
        """What two server versions spell differently and mean alike."""
        if text is None:
                return None
        text = re.sub(r'\butf8mb3(_|\b)', r'utf8\1', text)
        return re.sub(r'current_timestamp(\(\))?', 'current_timestamp', text, flags=re.I)


def _default(value, mariadb):
        """COLUMN_DEFAULT: MariaDB quotes text and writes NULL for no default of a column that may be NULL."""
        if value is None or (mariadb and value == 'NULL'):
                return None
        if mariadb and len(value) >= 2 and value[0] == value[-1] == "'":
                value = value[1:-1].replace("''", "'").replace('\\\\', '\\')
        return _plain(value)


def _kind(kind, widths):
        """A column's type. MySQL 8 no longer shows the display width of integers, save for a BOOL and with ZEROFILL; 5.6 may show the old form of times."""
        kind = kind.replace(' /* 5.5 binary format */', '')
        if kind == 'geomcollection':    # MySQL 8's name
                kind = 'geometrycollection'
        if not widths and kind != 'tinyint(1)' and not kind.endswith('zerofill'):
                kind = re.sub(r'^((?:tiny|small|medium|big)?int|year)\(\d+\)', r'\1', kind)
        return _plain(kind)


def _definition(session, db, table, mariadb, widths=True):
        where = f'table_schema={_list([db])} AND table_name={_list([table])}'
        columns = [(name, _default(default, mariadb), null, _kind(kind, widths), _plain(charset), _plain(collation),
                    _plain(extra or '').lower().replace('default_generated', '').strip(), comment)
                   for name, default, null, kind, charset, collation, extra, comment in _rows(
                           session, 'SELECT column_name, column_default, is_nullable, column_type, '
                           'character_set_name, collation_name, extra, column_comment '
                           f'FROM information_schema.columns WHERE {where} ORDER BY ordinal_position')]
        keys = sorted(_rows(session, 'SELECT index_name, seq_in_index, non_unique, column_name, sub_part, index_type '
                            f'FROM information_schema.statistics WHERE {where}'), key=repr)
        told = _rows(session, f'SELECT create_options, table_comment FROM information_schema.tables WHERE {where}')
        options, comment = told[0] if told else ('', 'the table has just been dropped')
        return {'columns': columns, 'keys': keys, 'foreign keys': _foreign_keys(session, db, table, dictionary=not widths),
                'partitions': _partitions(session, where), 'row format': _row_format(options), 'comment': [comment]}


def _row_format(options):
        """What the definition asks for; without that each server takes its own default. FIXED is none of InnoDB's: MySQL 8 shows what it took instead."""
        return sorted(option.replace('=fixed', '=dynamic') for option in (options or '').lower().split()
                      if option.startswith(('row_format=', 'key_block_size=')))


def _partitions(session, where):
        """One for each partition, or subpartition, in their order; none for a table that has no partitions."""
        def plain(text):
                return re.sub(r'[`"()\s]', '', text or '').lower()
        return [(name, sub, method, sub_method, plain(by), plain(sub_by), limit and _plain(limit), comment)
                for name, sub, method, sub_method, by, sub_by, limit, comment in _rows(
                        session, 'SELECT partition_name, subpartition_name, partition_method, subpartition_method, partition_expression, '
                        'subpartition_expression, partition_description, partition_comment FROM information_schema.partitions '
                        f'WHERE {where} AND partition_name IS NOT NULL ORDER BY partition_ordinal_position, subpartition_ordinal_position')]


def _foreign_keys(session, db, table, dictionary):
        """(name, place, column, the parent's database, table and column), sorted. From InnoDB's system tables, since the other views can
        end a server whose cache a RENAME has spoiled (daemon/engine/ddl-rename.h); MySQL 8 keeps them elsewhere."""
        if dictionary:
                sql = ('SELECT constraint_name, ordinal_position, column_name, referenced_table_schema, referenced_table_name, referenced_column_name '
                       f'FROM information_schema.key_column_usage WHERE table_schema={_list([db])} AND table_name={_list([table])} '
                       'AND referenced_table_name IS NOT NULL')
        else:
                def name(text):
                        return f'CONVERT(CONVERT(CONVERT({text} USING binary) USING filename) USING utf8)'
                sql = (f"""SELECT SUBSTRING(f.id, LOCATE('/', f.id) + 1), c.pos + 1, c.for_col_name, {name("SUBSTRING_INDEX(f.ref_name, '/', 1)")},
                       {name("SUBSTRING_INDEX(f.ref_name, '/', -1)")}, c.ref_col_name
                       FROM information_schema.innodb_sys_foreign f JOIN information_schema.innodb_sys_foreign_cols c ON c.id = f.id
                       WHERE {name("SUBSTRING_INDEX(f.for_name, '/', 1)")} = {_list([db])}
                       AND {name("SUBSTRING_INDEX(f.for_name, '/', -1)")} = {_list([table])}""")
        return sorted(_rows(session, sql), key=repr)


def _sorted_by(column):
        name, kind = _name(column[0]), column[3]
        if kind.startswith(('float', 'double')):
                return f'{name}+0e0'
        if kind.startswith(('enum', 'set')):
                return f'CAST({name} AS UNSIGNED)'
        if re.match('(tiny|small|medium|big)?int|decimal|bit|date|time|year', kind):
                return name
        # All of a long value counts, which no server sorts by.
        return f'CAST({name} AS BINARY)' if re.match('(var)?(char|binary)', kind) else f'SHA2(CAST({name} AS BINARY), 256)'


def _select(definition, db, table, zeros_alike):
        """Every value exactly, in an order that both servers agree on. Without a primary key there is none: then the second value is
        false, and the rows are a multiset."""
        expressions = []
        for name, _, _, kind, *_ in definition['columns']:
                column = _name(name)
                # 5.6 shows six digits of a FLOAT, whatever it holds; MariaDB has no way to store a negative zero.
                if kind.startswith(('float', 'double')):
                        expressions.append(f'{column}+0e0' if zeros_alike else f'HEX(POINT({column},0))')
                elif kind.startswith(('enum', 'set')):  # '' may be a member or the mark of a wrong value
                        expressions += [column, f'CAST({column} AS UNSIGNED)']
                else:
                        expressions.append(column)
        # By bytes: collations sort in ways of their own on each server.
        primary = [column for index, _, _, column, *_ in definition['keys'] if index == 'PRIMARY']
        order = ', '.join(_sorted_by(c) for c in definition['columns'] if c[0] in primary)
        return (f'SELECT {", ".join(expressions)} FROM {_name(db, table)}' + (f' ORDER BY {order}' if order else ''),
                bool(order))


def _show(row):
        return '(' + ', '.join('NULL' if v is None else repr(v if len(v) < 40 else v[:37] + b'...')[1:]
                               for v in row) + ')'


def _compare_rows(session_a, session_b, sql_a, sql_b, label, differences):
        """Streams both tables side by side; memory stays bounded. Returns the number of rows compared."""
        count = 0
        with session_a.cursor(SSCursor) as a, session_b.cursor(SSCursor) as b:
                a.execute(sql_a.encode())
                b.execute(sql_b.encode())
                while True:
                        rows_a, rows_b = a.fetchmany(1000), b.fetchmany(1000)
                        if rows_a != rows_b:
                                _explain(rows_a, rows_b, count, label, differences)
                                rest_a = len(rows_a) + sum(1 for _ in a)
                                rest_b = len(rows_b) + sum(1 for _ in b)
                                if rest_a != rest_b:
                                        differences.append(f'{label}: {count + rest_a} rows against {count + rest_b}')
                                return count
                        if not rows_a:
                                return count
                        count += len(rows_a)


def _compare_multisets(session_a, session_b, sql_a, sql_b, label, differences):
        """Tables without a primary key: every row as often as on the other side. All distinct rows are in memory."""
        counts = []
        for session, sql in ((session_a, sql_a), (session_b, sql_b)):
                with session.cursor(SSCursor) as cursor:
                        cursor.execute(sql.encode())
                        counts.append(collections.Counter(iter(cursor.fetchone, None)))
        a, b = counts
        shown = 0
        for row in a.keys() | b.keys():
                if a[row] != b[row] and shown < MAX_PER_TABLE:
                        differences.append(f'{label}: {a[row]} times on the first side, {b[row]} times on the second: {_show(row)}')
                        shown += 1
        return sum(a.values())


def _explain(rows_a, rows_b, count, label, differences):
        only_a = [r for r in rows_a if r not in set(rows_b)]
        only_b = [r for r in rows_b if r not in set(rows_a)]
        for side, rows in (('first', only_a), ('second', only_b)):
                for row in rows[:MAX_PER_TABLE]:
                        differences.append(f'{label}: near row {count}, only on the {side} side: {_show(row)}')
        if not only_a and not only_b:
                differences.append(f'{label}: near row {count}, the order differs')


def compare(server_a, server_b, databases=None, checked=None):
        """Everything that differs, as text; an empty list when nothing does."""
        differences = []
        widths = 'mysql97' not in (server_a.flavor, server_b.flavor)
        a, b = server_a.connect(), server_b.connect()           # these see names and definitions
        data_a, data_b = _session(server_a), _session(server_b)
        try:
                schemata_a, schemata_b = _databases(a, databases), _databases(b, databases)
                for db in sorted(set(schemata_a) | set(schemata_b)):
                        if schemata_a.get(db) != schemata_b.get(db):
                                differences.append(f'database {db}: {schemata_a.get(db)} against {schemata_b.get(db)}')
                tables_a, tables_b = _tables(a, databases), _tables(b, databases)
                for key in sorted(set(tables_a) | set(tables_b)):
                        label = '.'.join(key)
                        if key not in tables_a or key not in tables_b:
                                differences.append(f'{label}: only on the '
                                                   f'{"first" if key in tables_a else "second"} side')
                                continue
                        if tuple(map(_plain, tables_a[key])) != tuple(map(_plain, tables_b[key])):
                                differences.append(f'{label}: {tables_a[key]} against {tables_b[key]}')
                        definition_a = _definition(a, *key, server_a.flavor == 'mariadb', widths)
                        definition_b = _definition(b, *key, server_b.flavor == 'mariadb', widths)
                        for part in definition_a:
                                if definition_a[part] != definition_b[part]:
                                        only_a = [x for x in definition_a[part] if x not in definition_b[part]]
                                        only_b = [x for x in definition_b[part] if x not in definition_a[part]]
                                        differences.append(f'{label}: {part}: {only_a} against {only_b}')
                        if [c[0] for c in definition_a['columns']] != [c[0] for c in definition_b['columns']]:
                                continue
                        alike = 'mariadb' in (server_a.flavor, server_b.flavor)
                        (sql_a, ordered), (sql_b, _) = (_select(definition_a, *key, alike), _select(definition_b, *key, alike))
                        count = (_compare_rows if ordered else _compare_multisets)(data_a, data_b, sql_a, sql_b, label,
                                                                                   differences)
                        if checked is not None:
                                checked[label] = count
        finally:
                for session in (a, b, data_a, data_b):
                        session.close()
        return differences


def wait_equal(server_a, server_b, databases=None, timeout=60, checked=None):
        """Both sides are quiet, but what was written last may still be on its way: compares until they are equal.
        Raises AssertionError with the last differences."""
        deadline = time.monotonic() + timeout
        while True:
                differences = compare(server_a, server_b, databases, checked)
                if not differences:
                        return
                if time.monotonic() > deadline:
                        raise AssertionError(f'{len(differences)} differences after {timeout} s:\n'
                                             + '\n'.join(differences[:30]))
                time.sleep(0.3)


class _Socket:
        def __init__(self, path):
                self.path = path
                c = self.connect()
                with c.cursor() as cursor:
                        cursor.execute('SELECT version()')
                        version = str(cursor.fetchone()[0]).lower()
                        self.flavor = ('mariadb' if 'mariadb' in version else 'mysql56' if version.startswith('5.')
                                       else 'mysql97')
                c.close()

        def connect(self, **kw):
                return pymysql.connect(unix_socket=self.path, user='root', autocommit=True, **kw)


def main():
        checked = {}
        differences = compare(_Socket(sys.argv[1]), _Socket(sys.argv[2]), sys.argv[3:] or None, checked)
        for line in differences:
                print(line)
        print(f'{len(checked)} tables, {sum(checked.values())} rows compared: '
              + (f'{len(differences)} differences' if differences else 'equal'))
        sys.exit(1 if differences else 0)


if __name__ == '__main__':
        main()
