/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the contract's errors; see error.h. */

#include "base/error.h"

G_DEFINE_QUARK(polarshift-error, ps_error)

static const char *const ps_error_table[_PS_ERROR_MAX] = {
        [PS_ERROR_FAILED] = "Failed",
        [PS_ERROR_STOPPED] = "Stopped",
        [PS_ERROR_NO_SUCH_MIGRATION] = "NoSuchMigration",
        [PS_ERROR_NO_SUCH_CLUSTER] = "NoSuchCluster",
        [PS_ERROR_NO_SUCH_CREDENTIAL] = "NoSuchCredential",
        [PS_ERROR_ALREADY_EXISTS] = "AlreadyExists",
        [PS_ERROR_INVALID_OPTION] = "InvalidOption",
        [PS_ERROR_INVALID_PHASE] = "InvalidPhase",
        [PS_ERROR_NOT_SUPPORTED] = "NotSupported",
        [PS_ERROR_OPERATION_IN_PROGRESS] = "OperationInProgress",
        [PS_ERROR_STALE_GENERATION] = "StaleGeneration",
        [PS_ERROR_STALE_STATE] = "StaleState",
        [PS_ERROR_DELAY_TOO_HIGH] = "DelayTooHigh",
        [PS_ERROR_DELAY_UNKNOWN] = "DelayUnknown",
        [PS_ERROR_CHECK_FAILED] = "CheckFailed",
        [PS_ERROR_VERIFICATION_FAILED] = "VerificationFailed",
        [PS_ERROR_SOURCE_UNREACHABLE] = "SourceUnreachable",
        [PS_ERROR_DESTINATION_UNREACHABLE] = "DestinationUnreachable",
        [PS_ERROR_AUTHENTICATION_FAILED] = "AuthenticationFailed",
        [PS_ERROR_INSUFFICIENT_PRIVILEGE] = "InsufficientPrivilege",
        [PS_ERROR_CREDENTIAL_MISSING] = "CredentialMissing",
        [PS_ERROR_DEADLINE_EXCEEDED] = "DeadlineExceeded",
        [PS_ERROR_REVERSE_NOT_PROVEN] = "ReverseNotProven",
        [PS_ERROR_FOREIGN_WRITES] = "ForeignWrites",
        [PS_ERROR_UNSUPPORTED_OBJECT] = "UnsupportedObject",
        [PS_ERROR_DATA_MISMATCH] = "DataMismatch",
        [PS_ERROR_BINLOG_UNAVAILABLE] = "BinlogUnavailable",
        [PS_ERROR_STATE_UNREADABLE] = "StateUnreadable",
        [PS_ERROR_HOOK_FAILED] = "HookFailed",
        [PS_ERROR_LIMITS_EXCEEDED] = "LimitsExceeded",
        [PS_ERROR_ACCESS_DENIED] = "AccessDenied",
};
ENUM_TABLE_DEFINE(ps_error_code, PsErrorCode, ps_error_table);

PsErrorCode ps_error_code_of(const GError *error) {
        if (!error || error->domain != PS_ERROR || error->code < 0 || error->code >= _PS_ERROR_MAX)
                return PS_ERROR_FAILED;
        return (PsErrorCode) error->code;
}
