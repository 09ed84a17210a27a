/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Tables as a server describes them, read from information_schema. */

#include <stdbool.h>

#include <glib.h>

#include "base/enum-table.h"
#include "mysql/collation.h"
#include "mysql/conn.h"
#include "mysql/schema-foreign.h"

/* How values of a column are read and written; see value.h. */
typedef enum ColumnKind {
        COLUMN_KIND_INTEGER,   /* TINYINT … BIGINT, sign in is_unsigned */
        COLUMN_KIND_DECIMAL,
        COLUMN_KIND_FLOAT,
        COLUMN_KIND_DOUBLE,
        COLUMN_KIND_BIT,
        COLUMN_KIND_YEAR,
        COLUMN_KIND_DATE,
        COLUMN_KIND_TIME,
        COLUMN_KIND_DATETIME,
        COLUMN_KIND_TIMESTAMP,
        COLUMN_KIND_ENUM,
        COLUMN_KIND_SET,
        COLUMN_KIND_TEXT,   /* CHAR, VARCHAR, *TEXT: bytes in the column's character set */
        COLUMN_KIND_BINARY, /* BINARY(n): right-padded with 0x00 to length */
        COLUMN_KIND_BLOB,   /* VARBINARY, *BLOB */
        COLUMN_KIND_GEOMETRY,
        COLUMN_KIND_JSON,
        COLUMN_KIND_UNSUPPORTED,
        _COLUMN_KIND_MAX,
        _COLUMN_KIND_INVALID = -1,
} ColumnKind;
ENUM_TABLE_DECLARE(column_kind, ColumnKind);

typedef struct Column {
        char *name;
        char *type;         /* COLUMN_TYPE: "int(10) unsigned" */
        ColumnKind kind;
        bool is_unsigned;
        bool nullable;
        bool has_default;   /* beside NULL */
        bool zero_default;  /* a date with a month or day 0 */
        bool generated;     /* never written */
        bool auto_increment;
        guint32 length;     /* octets of BINARY; bits of BIT; members of ENUM/SET */
        unsigned precision, scale; /* DECIMAL, FLOAT(M,D) and DOUBLE(M,D); 0 for other reals */
        unsigned fsp;       /* fractional digits of TIME, DATETIME, TIMESTAMP */
        unsigned int_bytes; /* 1, 2, 3, 4, 8 for INTEGER */
        char *charset, *collation; /* of TEXT, ENUM and SET; NULL otherwise */
        Collation *order;   /* of TEXT in a row key, once collation_set_resolve() found that it can be compared here; else NULL */
} Column;

/* Whether two keys can be compared here exactly as the server orders them. */
typedef enum KeyOrder {
        KEY_ORDER_NONE,   /* no primary key and no UNIQUE key of NOT NULL columns only: rows are known by their images */
        KEY_ORDER_SERVER, /* only the server can compare: a collation that is not simple, a prefix, FLOAT … */
        KEY_ORDER_AGENT,  /* integers, DECIMAL, YEAR, temporal, BINARY/VARBINARY, text under a _bin collation of a charset
                           * whose bytes sort like its code points (latin1, ascii, utf8, utf8mb4, binary), or under a simple
                           * one (collation.h) whose weights were asked for */
} KeyOrder;

typedef struct Index {
        char *name;
        bool unique;
        GArray *columns;       /* of unsigned: positions in TableSchema.columns */
        bool prefix;           /* some part is a prefix of its column */
        bool nullable;         /* some part may be NULL */
        char *type;            /* BTREE, HASH, FULLTEXT, SPATIAL */
} Index;

typedef struct TableSchema {
        char *database, *name;
        char *engine;
        char *row_format, *options; /* ROW_FORMAT and CREATE_OPTIONS: "Compact", "row_format=COMPRESSED partitioned" */
        GPtrArray *columns; /* of Column, in order of the table */
        GPtrArray *indexes; /* of Index, PRIMARY first */
        GArray *key;        /* of unsigned: the columns of the row key (PRIMARY, else the smallest UNIQUE of NOT NULL columns
                             * without prefix parts), if it has no FLOAT in it; empty: none */
        bool key_is_primary;
        bool key_prefix;    /* only the beginning of some column is in the key */
        bool key_has_text;  /* the same value of some key column may be spelled in several ways */
        KeyOrder key_order;
        unsigned n_unique_secondary; /* UNIQUE indexes beside the row key: rows can collide on them */
        guint64 rows_estimate, data_bytes, index_bytes, avg_row_bytes; /* information_schema.tables: estimates */
        guint64 auto_increment; /* next value; 0: none */
        GPtrArray *foreign_keys; /* of ForeignKey: those that this table is the child of; NULL: none */
        bool has_cascade;   /* one of them is ON DELETE/UPDATE CASCADE or SET NULL: rows change without a row event */
} TableSchema;

void table_schema_free(TableSchema *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TableSchema, table_schema_free)

/* The base tables of one database; reads information_schema in a fixed number of statements, not one per table.
 * DATABASE NULL: of all databases but the system's (mysql, information_schema, performance_schema, sys) and `polarshift`.
 * → GPtrArray of TableSchema, ordered by database and name. */
GPtrArray *schema_load(Conn *conn, const char *database, GError **error);
/* One table; NULL without error when it is not there. */
TableSchema *schema_load_table(Conn *conn, const char *database, const char *name, GError **error);
bool schema_is_system_database(const char *name); /* with `polarshift` */

/* Sets key_order (and key_has_text) from what is known of the key columns. */
void table_schema_order_key(TableSchema *table);

/* Whether rows of A can go into B: same columns by name, order and kind. PS_ERROR_DATA_MISMATCH names the difference. */
bool table_schema_compatible(const TableSchema *a, const TableSchema *b, GError **error);
