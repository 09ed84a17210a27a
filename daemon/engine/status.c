/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values that cross engine.h, apart from the engine itself: whoever speaks that interface (the loop, the engine, the engine
 * that tests put in its place) links these. */

#include "engine/engine.h"

static const char *const read_write_status_table[_READ_WRITE_STATUS_MAX] = {
        [READ_WRITE_STATUS_UNKNOWN] = "unknown",
        [READ_WRITE_STATUS_READ_WRITE] = "read-write",
        [READ_WRITE_STATUS_READ_ONLY] = "read-only",
        [READ_WRITE_STATUS_UNREACHABLE] = "unreachable",
};
ENUM_TABLE_DEFINE(read_write_status, ReadWriteStatus, read_write_status_table);

static const char *const replication_state_table[_REPLICATION_MAX] = {
        [REPLICATION_STOPPED] = "stopped",
        [REPLICATION_RUNNING] = "running",
        [REPLICATION_RETRYING] = "retrying",
        [REPLICATION_FAILED] = "failed",
};
ENUM_TABLE_DEFINE(replication_state, ReplicationState, replication_state_table);

void engine_commit_free(EngineCommit *commit) {
        if (!commit)
                return;
        engine_state_free(commit->state);
        g_free(commit->finished.message);
        g_free(commit);
}
