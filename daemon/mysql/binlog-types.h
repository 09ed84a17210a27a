/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Column types as a TABLE_MAP event numbers them (enum_field_types of the servers). */

typedef enum BinlogType {
        BINLOG_TYPE_TINY = 1,
        BINLOG_TYPE_SHORT = 2,
        BINLOG_TYPE_LONG = 3,
        BINLOG_TYPE_FLOAT = 4,
        BINLOG_TYPE_DOUBLE = 5,
        BINLOG_TYPE_NULL = 6,
        BINLOG_TYPE_TIMESTAMP = 7, /* 7, 11 and 12: the formats before 5.6.4 */
        BINLOG_TYPE_LONGLONG = 8,
        BINLOG_TYPE_INT24 = 9,
        BINLOG_TYPE_DATE = 10,
        BINLOG_TYPE_TIME = 11,
        BINLOG_TYPE_DATETIME = 12,
        BINLOG_TYPE_YEAR = 13,
        BINLOG_TYPE_NEWDATE = 14,
        BINLOG_TYPE_VARCHAR = 15,
        BINLOG_TYPE_BIT = 16,
        BINLOG_TYPE_TIMESTAMP2 = 17,
        BINLOG_TYPE_DATETIME2 = 18,
        BINLOG_TYPE_TIME2 = 19,
        BINLOG_TYPE_BLOB_COMPRESSED = 140, /* MariaDB */
        BINLOG_TYPE_VARCHAR_COMPRESSED = 141,
        BINLOG_TYPE_VECTOR = 242, /* MySQL 9 */
        BINLOG_TYPE_JSON = 245,
        BINLOG_TYPE_NEWDECIMAL = 246,
        BINLOG_TYPE_ENUM = 247,
        BINLOG_TYPE_SET = 248,
        BINLOG_TYPE_BLOB = 252,
        BINLOG_TYPE_VAR_STRING = 253,
        BINLOG_TYPE_STRING = 254,
        BINLOG_TYPE_GEOMETRY = 255,
} BinlogType;
