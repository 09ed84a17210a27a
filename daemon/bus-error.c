/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See bus-error.h. */

#include "bus-error.h"

#include <errno.h>

#define NAME(last) "org.polarshift1.Error." last

static const char *const names[_PS_ERROR_MAX] = {
                [PS_ERROR_FAILED] = SD_BUS_ERROR_FAILED,
                [PS_ERROR_STOPPED] = SD_BUS_ERROR_FAILED,
                [PS_ERROR_NO_SUCH_MIGRATION] = NAME("NoSuchMigration"),
                [PS_ERROR_NO_SUCH_CLUSTER] = NAME("NoSuchCluster"),
                [PS_ERROR_NO_SUCH_CREDENTIAL] = NAME("NoSuchCredential"),
                [PS_ERROR_ALREADY_EXISTS] = NAME("AlreadyExists"),
                [PS_ERROR_INVALID_OPTION] = NAME("InvalidOption"),
                [PS_ERROR_INVALID_PHASE] = NAME("InvalidPhase"),
                [PS_ERROR_NOT_SUPPORTED] = NAME("NotSupported"),
                [PS_ERROR_OPERATION_IN_PROGRESS] = NAME("OperationInProgress"),
                [PS_ERROR_STALE_GENERATION] = NAME("StaleGeneration"),
                [PS_ERROR_STALE_STATE] = NAME("StaleState"),
                [PS_ERROR_DELAY_TOO_HIGH] = NAME("DelayTooHigh"),
                [PS_ERROR_DELAY_UNKNOWN] = NAME("DelayUnknown"),
                [PS_ERROR_CHECK_FAILED] = NAME("CheckFailed"),
                [PS_ERROR_VERIFICATION_FAILED] = NAME("VerificationFailed"),
                [PS_ERROR_SOURCE_UNREACHABLE] = NAME("SourceUnreachable"),
                [PS_ERROR_DESTINATION_UNREACHABLE] = NAME("DestinationUnreachable"),
                [PS_ERROR_AUTHENTICATION_FAILED] = NAME("AuthenticationFailed"),
                [PS_ERROR_INSUFFICIENT_PRIVILEGE] = NAME("InsufficientPrivilege"),
                [PS_ERROR_CREDENTIAL_MISSING] = NAME("CredentialMissing"),
                [PS_ERROR_DEADLINE_EXCEEDED] = NAME("DeadlineExceeded"),
                [PS_ERROR_REVERSE_NOT_PROVEN] = NAME("ReverseNotProven"),
                [PS_ERROR_FOREIGN_WRITES] = NAME("ForeignWrites"),
                [PS_ERROR_UNSUPPORTED_OBJECT] = NAME("UnsupportedObject"),
                [PS_ERROR_DATA_MISMATCH] = NAME("DataMismatch"),
                [PS_ERROR_BINLOG_UNAVAILABLE] = NAME("BinlogUnavailable"),
                [PS_ERROR_STATE_UNREADABLE] = NAME("StateUnreadable"),
                [PS_ERROR_HOOK_FAILED] = NAME("HookFailed"),
                [PS_ERROR_LIMITS_EXCEEDED] = SD_BUS_ERROR_LIMITS_EXCEEDED,
                [PS_ERROR_ACCESS_DENIED] = SD_BUS_ERROR_ACCESS_DENIED,
};

const char *bus_error_name(PsErrorCode code) {
        return (int) code >= 0 && code < _PS_ERROR_MAX ? names[code] : SD_BUS_ERROR_FAILED;
}

const char *bus_error_name_of(const GError *error) {
        return bus_error_name(ps_error_code_of(error));
}

int bus_error_set(sd_bus_error *ret, const GError *error) {
        g_autofree char *message = g_utf8_make_valid(error->message, -1);
        sd_bus_error_set(ret, bus_error_name_of(error), message);
        /* the number only has to be negative: the name travels */
        return -EIO;
}
