/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements for our own tables; see ledger.h. */

#include "engine/ledger.h"

#include "base/error.h"
#include "mysql/sql.h"

Ledger *ledger_new(const char *uuid) {
        Ledger *ledger = g_new0(Ledger, 1);
        GString *task = g_string_new(NULL);
        for (const char *p = uuid; *p && task->len < 16; p++)
                if (g_ascii_isxdigit(*p))
                        g_string_append_c(task, g_ascii_tolower(*p));
        ledger->uuid = g_strdup(uuid);
        ledger->task = g_string_free(task, FALSE);
        ledger->checkpoint_name = g_strdup_printf("ckpt_%s", ledger->task);
        ledger->watermark_name = g_strdup_printf("wm_%s", ledger->task);
        ledger->canary_name = g_strdup_printf("canary_%s", ledger->task);
        ledger->intent_name = g_strdup_printf("intent_%s", ledger->task);
        ledger->intent = g_strdup_printf("`" LEDGER_DATABASE "`.`%s`", ledger->intent_name);
        ledger->fence = g_strdup_printf("`" LEDGER_DATABASE "`.`fence_%s`", ledger->task);
        ledger->checkpoint = g_strdup_printf("`" LEDGER_DATABASE "`.`%s`", ledger->checkpoint_name);
        ledger->chunk = g_strdup_printf("`" LEDGER_DATABASE "`.`chunk_%s`", ledger->task);
        ledger->watermark = g_strdup_printf("`" LEDGER_DATABASE "`.`%s`", ledger->watermark_name);
        ledger->canary = g_strdup_printf("`" LEDGER_DATABASE "`.`%s`", ledger->canary_name);
        return ledger;
}

void ledger_free(Ledger *ledger) {
        if (!ledger)
                return;
        g_free(ledger->uuid);
        g_free(ledger->task);
        g_free(ledger->checkpoint_name);
        g_free(ledger->watermark_name);
        g_free(ledger->canary_name);
        g_free(ledger->checkpoint);
        g_free(ledger->chunk);
        g_free(ledger->watermark);
        g_free(ledger->canary);
        g_free(ledger->intent_name);
        g_free(ledger->intent);
        g_free(ledger->fence);
        g_free(ledger);
}

bool ledger_create(const Ledger *ledger, Conn *conn, GError **error) {
        return conn_execf(conn, error, "CREATE DATABASE IF NOT EXISTS `" LEDGER_DATABASE "` DEFAULT CHARACTER SET latin1") &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS `" LEDGER_DATABASE "`.`owner` (uuid CHAR(36) CHARACTER SET ascii "
                          "COLLATE ascii_bin NOT NULL PRIMARY KEY, agent BIGINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, "
                          "writer VARCHAR(16) NOT NULL, phase VARCHAR(31) NOT NULL, step VARCHAR(31) NOT NULL, "
                          "changes BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB") &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (leg INT UNSIGNED NOT NULL, w INT UNSIGNED NOT NULL, "
                          "seq BIGINT UNSIGNED NOT NULL, part BIGINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, "
                          "server VARBINARY(255) NOT NULL DEFAULT '', file VARBINARY(255) NOT NULL, start BIGINT UNSIGNED NOT NULL DEFAULT 0, "
                          "pos BIGINT UNSIGNED NOT NULL, crc INT UNSIGNED NOT NULL DEFAULT 0, gtid VARBINARY(127), gtids MEDIUMBLOB, "
                          "hold_seq BIGINT UNSIGNED NOT NULL DEFAULT 0, hold_file VARBINARY(255) NOT NULL DEFAULT '', "
                          "hold_pos BIGINT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY (leg, w)) ENGINE=InnoDB",
                          ledger->checkpoint) &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
                          "db VARBINARY(256) NOT NULL, tbl VARBINARY(256) NOT NULL, lo LONGBLOB, hi LONGBLOB, "
                          "h_seq BIGINT UNSIGNED NOT NULL, n_rows BIGINT UNSIGNED NOT NULL, n_bytes BIGINT UNSIGNED NOT NULL) "
                          "ENGINE=InnoDB",
                          ledger->chunk) &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (id INT UNSIGNED NOT NULL PRIMARY KEY, "
                          "value BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
                          ledger->watermark) &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (leg INT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL, "
                          "state VARCHAR(7) NOT NULL, thread BIGINT UNSIGNED NOT NULL, file VARBINARY(255) NOT NULL, "
                          "pos BIGINT UNSIGNED NOT NULL, was LONGBLOB NOT NULL, db VARBINARY(256) NOT NULL, body LONGBLOB NOT NULL, "
                          "PRIMARY KEY (leg, seq)) ENGINE=InnoDB",
                          ledger->intent) &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (kind VARBINARY(15) NOT NULL, first VARBINARY(256) NOT NULL, second VARBINARY(256) NOT NULL, "
                          "secret BLOB NOT NULL, PRIMARY KEY (kind, first, second)) ENGINE=InnoDB",
                          ledger->fence) &&
               conn_execf(conn, error,
                          "CREATE TABLE IF NOT EXISTS %s (id INT UNSIGNED NOT NULL PRIMARY KEY, "
                          "value BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB",
                          ledger->canary);
}

bool ledger_drop(const Ledger *ledger, Conn *conn, GError **error) {
        guint64 exists = 0, owners = 0, others = 0;
        if (!conn_query_uint64(conn,
                               "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='" LEDGER_DATABASE
                               "' AND table_name='owner'",
                               &exists, error))
                return false;
        if (exists > 0) {
                if (!conn_execf(conn, error, "DELETE FROM `" LEDGER_DATABASE "`.`owner` WHERE uuid='%s'", ledger->uuid) ||
                    !conn_execf(conn, error, "DROP TABLE IF EXISTS %s, %s, %s, %s, %s, %s, `" LEDGER_DATABASE "`.`trial_%s`", ledger->checkpoint, ledger->chunk,
                                ledger->watermark, ledger->canary, ledger->intent, ledger->fence, ledger->task) ||
                    !conn_query_uint64(conn, "SELECT COUNT(*) FROM `" LEDGER_DATABASE "`.`owner`", &owners, error))
                        return false;
                if (owners > 0)
                        return true;
                if (!conn_execf(conn, error, "DROP TABLE `" LEDGER_DATABASE "`.`owner`"))
                        return false;
        }
        /* Somebody may have had a database of that name, or put tables into ours. */
        if (!conn_query_uint64(conn, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='" LEDGER_DATABASE "'", &others, error))
                return false;
        return others > 0 || conn_execf(conn, error, "DROP DATABASE IF EXISTS `" LEDGER_DATABASE "`");
}

bool ledger_read_owner(const Ledger *ledger, Conn *conn, OwnerRow *ret, GError **error) {
        guint64 exists = 0;
        *ret = (OwnerRow){0};
        if (!conn_query_uint64(conn,
                               "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='" LEDGER_DATABASE
                               "' AND table_name='owner'",
                               &exists, error))
                return false;
        if (exists == 0)
                return true;

        g_autoptr(ConnRows) rows = conn_queryf(
                conn, error, "SELECT agent, epoch, writer, phase, step FROM `" LEDGER_DATABASE "`.`owner` WHERE uuid='%s'",
                ledger->uuid);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row)
                return true;
        ret->present = true;
        ret->agent = g_ascii_strtoull(row[0], NULL, 10);
        ret->epoch = g_ascii_strtoull(row[1], NULL, 10);
        ret->writer = side_from_string(row[2]);
        g_strlcpy(ret->phase, row[3], sizeof ret->phase);
        g_strlcpy(ret->step, row[4], sizeof ret->step);
        return true;
}

bool ledger_write_owner(const Ledger *ledger, Conn *conn, guint64 agent, guint64 epoch, Side writer, const char *phase,
                        const char *step, GError **error) {
        return conn_execf(conn, error,
                          "INSERT INTO `" LEDGER_DATABASE "`.`owner` (uuid, agent, epoch, writer, phase, step, changes) "
                          "VALUES ('%s', %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT ", '%s', '%s', '%s', 1) "
                          "ON DUPLICATE KEY UPDATE agent=VALUES(agent), epoch=VALUES(epoch), writer=VALUES(writer), "
                          "phase=VALUES(phase), step=VALUES(step), changes=changes+1",
                          ledger->uuid, agent, epoch, side_to_string(writer), phase, step);
}

bool ledger_begin_leg(const Ledger *ledger, Conn *conn, guint32 leg, guint32 workers, guint32 copiers, guint64 epoch,
                      GError **error) {
        g_autoptr(GString) sql = g_string_new(NULL);
        g_string_printf(sql, "INSERT IGNORE INTO %s (leg, w, seq, part, epoch, server, file, start, pos, crc) VALUES ", ledger->checkpoint);
        for (guint32 w = 0; w < workers; w++)
                g_string_append_printf(sql, "(%u,%u,0,0,%" G_GUINT64_FORMAT ",'','',0,0,0),", leg, w, epoch);
        for (guint32 c = 0; c < copiers; c++)
                g_string_append_printf(sql, "(%u,%u,0,0,%" G_GUINT64_FORMAT ",'','',0,0,0),", leg, LEDGER_COPIER_BASE + c, epoch);
        g_string_append_printf(sql, "(%u,%u,0,0,%" G_GUINT64_FORMAT ",'','',0,0,0)", leg, LEDGER_REPAIR_SLOT, epoch);
        return conn_exec(conn, sql->str, (gssize) sql->len, NULL, error);
}

bool ledger_forget_leg(const Ledger *ledger, Conn *conn, guint32 leg, GError **error) {
        return conn_execf(conn, error, "DELETE FROM %s WHERE leg=%u", ledger->checkpoint, leg);
}

bool ledger_set_leg_start(const Ledger *ledger, Conn *conn, guint32 leg, const char *server, const BinlogPosition *start, GError **error) {
        g_autoptr(Place) place = place_new(server, start->file, 0, start->offset, 0, NULL, start->gtids);
        g_autoptr(GString) sql = g_string_new(NULL);
        g_string_printf(sql, "UPDATE %s SET part=part", ledger->checkpoint);
        place_append_columns(place, sql);
        g_string_append_printf(sql, " WHERE leg=%u AND seq=0 AND file=''", leg);
        return conn_exec(conn, sql->str, (gssize) sql->len, NULL, error);
}

void checkpoint_clear(Checkpoint *checkpoint) {
        g_clear_pointer(&checkpoint->place, place_unref);
        g_clear_pointer(&checkpoint->hold_file, g_free);
}

GArray *ledger_load_checkpoints(const Ledger *ledger, Conn *conn, guint32 leg, GError **error) {
        g_autoptr(ConnRows) rows = conn_queryf(conn, error,
                                               "SELECT w, seq, part, server, file, start, pos, crc, gtid, gtids, hold_seq, hold_file, hold_pos FROM %s "
                                               "WHERE leg=%u ORDER BY w",
                                               ledger->checkpoint, leg);
        if (!rows)
                return NULL;
        g_autoptr(GArray) list = g_array_new(FALSE, TRUE, sizeof(Checkpoint));
        g_array_set_clear_func(list, (GDestroyNotify) checkpoint_clear);
        for (char **row; (row = conn_rows_take(rows));) {
                Checkpoint checkpoint = {
                        .worker = (guint32) g_ascii_strtoull(row[0], NULL, 10),
                        .seq = g_ascii_strtoull(row[1], NULL, 10),
                        .part = g_ascii_strtoull(row[2], NULL, 10),
                        .place = place_new(row[3], row[4], g_ascii_strtoull(row[5], NULL, 10), g_ascii_strtoull(row[6], NULL, 10),
                                           (guint32) g_ascii_strtoull(row[7], NULL, 10), row[8], row[9]),
                        .hold_seq = g_ascii_strtoull(row[10], NULL, 10),
                        .hold_file = g_strdup(row[11]),
                        .hold_offset = g_ascii_strtoull(row[12], NULL, 10),
                };
                g_array_append_val(list, checkpoint);
        }
        return g_steal_pointer(&list);
}

bool ledger_read_intents(const Ledger *ledger, Conn *conn, guint32 leg, guint64 *ret_done, guint64 *ret_open, GError **error) {
        g_autofree char *done = g_strdup_printf("SELECT COALESCE(MAX(seq), 0) FROM %s WHERE leg=%u AND state='done'", ledger->intent, leg);
        g_autofree char *open = g_strdup_printf("SELECT COALESCE(MAX(seq), 0) FROM %s WHERE leg=%u AND state<>'done'", ledger->intent, leg);
        return conn_query_uint64(conn, done, ret_done, error) && conn_query_uint64(conn, open, ret_open, error);
}

bool ledger_keep_collation(const Ledger *ledger, Conn *conn, guint32 leg, guint64 epoch, GArray *checkpoints, const char *collation,
                           guint64 digest, bool changeable, GError **error) {
        guint32 number = LEDGER_COLLATION_BASE;
        for (guint i = 0; i < checkpoints->len; i++) {
                const Checkpoint *row = &g_array_index(checkpoints, Checkpoint, i);
                if (row->worker < LEDGER_COLLATION_BASE)
                        continue;
                number = MAX(number, row->worker + 1);
                if (!g_str_equal(row->place->file, collation))
                        continue;
                if (row->seq == digest)
                        return true;
                if (!changeable) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                                    "the collation %s orders characters otherwise than when this direction was begun (was a server "
                                    "upgraded?), and changes are on their way that rest on it: bring the server back to the version that "
                                    "it had, or Cancel and start again", collation);
                        return false;
                }
                return conn_execf(conn, error, "UPDATE %s SET seq=%" G_GUINT64_FORMAT " WHERE leg=%u AND w=%u", ledger->checkpoint,
                                  digest, leg, row->worker);
        }
        Checkpoint added = {.worker = number, .seq = digest, .place = place_new(NULL, collation, 0, 0, 0, NULL, NULL), .hold_file = g_strdup("")};
        g_array_append_val(checkpoints, added);
        return conn_execf(conn, error,
                          "INSERT INTO %s (leg, w, seq, part, epoch, file, pos) VALUES (%u,%u,%" G_GUINT64_FORMAT
                          ",0,%" G_GUINT64_FORMAT ",'%s',0)", ledger->checkpoint, leg, number, digest, epoch, collation);
}

bool ledger_raise_epoch(const Ledger *ledger, Conn *conn, guint64 epoch, GError **error) {
        /* An UPDATE under READ COMMITTED looks past the locks on rows that it would not change: only this waits for orphans when the epoch
         * stays as it is. */
        guint64 rows;
        g_autofree char *wait = g_strdup_printf("SELECT COUNT(epoch) FROM %s FOR UPDATE", ledger->checkpoint);
        if (!conn_query_uint64(conn, wait, &rows, error))
                return false;
        return conn_execf(conn, error, "UPDATE %s SET epoch=%" G_GUINT64_FORMAT " WHERE epoch < %" G_GUINT64_FORMAT,
                          ledger->checkpoint, epoch, epoch);
}
