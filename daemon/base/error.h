/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The named errors of the interface contract, as one GError domain. Everything below the bus floor reports what
 * went wrong with one of these codes (or with MYSQL_ERROR, see mysql/conn.h, which the engine translates once it
 * knows which side it was talking to). daemon/bus-error.c maps a code to its D-Bus name. A message names the
 * object and says what to do next. */

#include <glib.h>

#include "base/enum-table.h"

#define PS_ERROR ps_error_quark()
GQuark ps_error_quark(void);

typedef enum PsErrorCode {
        PS_ERROR_FAILED, /* an internal failure: no name of its own in the contract */
        PS_ERROR_STOPPED, /* the work was told to stop; never leaves the agent */
        PS_ERROR_NO_SUCH_MIGRATION,
        PS_ERROR_NO_SUCH_CLUSTER,
        PS_ERROR_NO_SUCH_CREDENTIAL,
        PS_ERROR_ALREADY_EXISTS,
        PS_ERROR_INVALID_OPTION,
        PS_ERROR_INVALID_PHASE,
        PS_ERROR_NOT_SUPPORTED,
        PS_ERROR_OPERATION_IN_PROGRESS,
        PS_ERROR_STALE_GENERATION,
        PS_ERROR_STALE_STATE,
        PS_ERROR_DELAY_TOO_HIGH,
        PS_ERROR_DELAY_UNKNOWN,
        PS_ERROR_CHECK_FAILED,
        PS_ERROR_VERIFICATION_FAILED,
        PS_ERROR_SOURCE_UNREACHABLE,
        PS_ERROR_DESTINATION_UNREACHABLE,
        PS_ERROR_AUTHENTICATION_FAILED,
        PS_ERROR_INSUFFICIENT_PRIVILEGE,
        PS_ERROR_CREDENTIAL_MISSING,
        PS_ERROR_DEADLINE_EXCEEDED,
        PS_ERROR_REVERSE_NOT_PROVEN,
        PS_ERROR_FOREIGN_WRITES,
        PS_ERROR_UNSUPPORTED_OBJECT,
        PS_ERROR_DATA_MISMATCH,
        PS_ERROR_BINLOG_UNAVAILABLE,
        PS_ERROR_STATE_UNREADABLE,
        PS_ERROR_HOOK_FAILED,
        PS_ERROR_LIMITS_EXCEEDED, /* org.freedesktop.DBus.Error.LimitsExceeded */
        PS_ERROR_ACCESS_DENIED,   /* org.freedesktop.DBus.Error.AccessDenied */
        _PS_ERROR_MAX,
        _PS_ERROR_INVALID = -1,
} PsErrorCode;

/* "NoSuchMigration" and so on: the last part of the D-Bus name. */
ENUM_TABLE_DECLARE(ps_error_code, PsErrorCode);

/* The code of an error of our domain; PS_ERROR_FAILED for any other. */
PsErrorCode ps_error_code_of(const GError *error);
