/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See switch-final.h. */

#include "engine/switch-final.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/key.h"
#include "engine/objects.h"
#include "engine/verify-internal.h"
#include "mysql/sql.h"

#define BATCH 200               /* keys of one SELECT */
#define ROUND 20000u            /* keys between two looks at the position, … */
#define FENCED_ROUND 1000u      /* … and behind the fence, at the time */
#define FEW 200                 /* keys are left for behind the fence at once, … */
#define ENOUGH 1000             /* … these when they did not get less in … */
#define STUCK 3                 /* … so many passes, … */
#define GUARD_USEC (60 * USEC_PER_SEC) /* … and any number when that is over */
#define WAIT_USEC (10 * USEC_PER_SEC) /* for a position to be applied: keys that wait longer are left for behind the fence */
#define LOCK_WAIT 2 /* s */
#define WHOLE_WAIT_USEC (60 * USEC_PER_SEC)
#define WHOLE_ROWS 100000       /* a table of which nothing is known is compared in the guard up to here, … */
#define WHOLE_ROWS_TOTAL 300000 /* … and all of them */
#define FENCED_ROWS 2000        /* the same behind the fence, where applications wait */
#define FENCED_ROWS_TOTAL 6000

struct FinalCheck {
        Engine *engine;
        const EngineOperation *operation;
        Side from, to;
        ObjectList *objects;
        GPtrArray *tables;  /* of VerifyTable: their changed keys are known */
        GPtrArray *fenced;  /* of VerifyTable: compared whole behind the fence */
        JsonArray *left;    /* what is not compared: {"table", "why"} */
        gint64 began;
        guint64 fenced_rows;
        guint64 keys, rows, whole; /* compared: by key, in whole tables, and how many of those */
        guint64 keys_online;       /* of them before the fence */
};

static void free_table(gpointer table) {
        verify_table_free(table);
}

FinalCheck *final_check_new(Engine *engine, const EngineOperation *operation, Side from, Side to) {
        FinalCheck *check = g_new0(FinalCheck, 1);
        *check = (FinalCheck){
                .engine = engine,
                .operation = operation,
                .from = from,
                .to = to,
                .tables = g_ptr_array_new_with_free_func(free_table),
                .fenced = g_ptr_array_new_with_free_func(free_table),
                .left = json_array_new(),
        };
        return check;
}

void final_check_free(FinalCheck *check) {
        if (!check)
                return;
        g_ptr_array_unref(check->tables);
        g_ptr_array_unref(check->fenced);
        json_array_unref(check->left);
        object_list_free(check->objects);
        g_free(check);
}

static void leave(FinalCheck *check, const char *table, const char *why) {
        JsonObject *object = json_object_new();
        g_autofree char *name = g_utf8_make_valid(table, -1);
        json_object_set_string_member(object, "table", name);
        json_object_set_string_member(object, "why", why);
        json_array_add_object_element(check->left, object);
}

static bool differs(const FinalCheck *check, const char *table, GError **error) {
        check->engine->state->verification = VERIFICATION_DIFFERENT;
        g_set_error(error, PS_ERROR, PS_ERROR_VERIFICATION_FAILED,
                    "the final check found rows of %s that are not the same on both sides; Verify names them, Repair mends them", table);
        return false;
}

static bool stopped(const FinalCheck *check, GError **error) {
        if (!engine_aborted(check->engine, check->operation->id))
                return false;
        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        return true;
}

/* --- keys --- */

static void free_literals(gpointer data) {
        g_free(data); /* an array that points into the key's bytes */
}

/* As arrays of literals. */
static GPtrArray *literals_of(const VerifyTable *table, const GPtrArray *taken) {
        GPtrArray *keys = g_ptr_array_new_full(taken->len, free_literals);
        for (guint i = 0; i < taken->len; i++) {
                const char **literals = g_new0(const char *, table->table->key->len + 1);
                key_split(table->table, g_bytes_get_data(g_ptr_array_index(taken, i), NULL), literals);
                g_ptr_array_add(keys, literals);
        }
        return keys;
}

static bool read_side(Conn *conn, const VerifyTable *table, const GPtrArray *keys, GHashTable *hashes, GError **error) {
        for (guint at = 0; at < keys->len; at += BATCH)
                if (!verify_read_keys(conn, table, keys, at, MIN(BATCH, keys->len - at), /* lock= */ false, hashes, NULL, error))
                        return false;
        return true;
}

static bool wait_until_applied(const FinalCheck *check, Conn *a, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        if (!conn_binlog_position(a, &file, &offset, error))
                return false;
        if (check->engine->link)
                return engine_wait_link(check->engine, file, offset, WAIT_USEC, error);
        g_set_error(error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "replication is not running");
        return false;
}

/* A key without a row on either side was deleted, or it is spelled otherwise there ('a', 'A'): then its row is among the others. So a row
 * that is not asked for, and is not the same on both sides, speaks against all of those. */
static bool odd_rows_are_equal(GHashTable *asked, GHashTable *above, GHashTable *below) {
        GHashTable *sides[] = {above, below};
        for (guint i = 0; i < G_N_ELEMENTS(sides); i++) {
                GHashTableIter iter;
                gpointer key, hash;
                g_hash_table_iter_init(&iter, sides[i]);
                while (g_hash_table_iter_next(&iter, &key, &hash))
                        if (!g_hash_table_contains(asked, key) && g_strcmp0(g_hash_table_lookup(sides[1 - i], key), hash) != 0)
                                return false;
        }
        return true;
}

static void put_back(const FinalCheck *check, const VerifyTable *table, const GPtrArray *taken, guint first, guint n) {
        for (guint i = first; i < first + n; i++) {
                gsize size;
                const char *key = g_bytes_get_data(g_ptr_array_index(taken, i), &size);
                dirty_add(check->engine->dirty, table->name, key, size);
        }
}

/* Keys of one table that are being compared. */
typedef struct Round {
        const VerifyTable *table;
        GPtrArray *taken;    /* of GBytes */
        GPtrArray *keys;     /* of arrays of literals, which point into them */
        GHashTable *above;
} Round;

static Round *round_new(const VerifyTable *table, const GPtrArray *taken, guint first, guint n) {
        Round *round = g_new0(Round, 1);
        round->table = table;
        round->taken = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
        for (guint i = first; i < first + n; i++)
                g_ptr_array_add(round->taken, g_bytes_ref(g_ptr_array_index(taken, i)));
        round->keys = literals_of(table, round->taken);
        round->above = verify_hashes_new();
        return round;
}

static void round_free(gpointer data) {
        Round *round = data;
        if (!round)
                return;
        g_ptr_array_unref(round->taken);
        g_ptr_array_unref(round->keys);
        g_hash_table_unref(round->above);
        g_free(round);
}

/* With downstream's rows: keys that are not equal are dirty again. → how many. */
static guint judge_round(FinalCheck *check, const Round *round, GHashTable *below) {
        g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);
        guint different = 0;
        for (guint i = 0; i < round->keys->len; i++) {
                char *text = verify_key_text(g_ptr_array_index(round->keys, i));
                g_ptr_array_add(texts, text);
                g_hash_table_add(asked, text);
        }
        bool odd = odd_rows_are_equal(asked, round->above, below);
        for (guint i = 0; i < texts->len; i++) {
                const char *text = g_ptr_array_index(texts, i);
                const char *one = g_hash_table_lookup(round->above, text), *other = g_hash_table_lookup(below, text);
                if (g_strcmp0(one, other) == 0 && (one || odd))
                        continue;
                put_back(check, round->table, round->taken, i, 1);
                different++;
        }
        check->keys += texts->len - different;
        return different;
}

/* ROUNDS (of Round), which are emptied. *ret_different (may be NULL): a table of which a key is not equal. ONLINE: people write on A. */
static bool compare_rounds(FinalCheck *check, GPtrArray *rounds, bool online, const VerifyTable **ret_different, GError **error) {
        Conn *a = control_acquire(check->engine, check->from, error), *b = a ? control_acquire(check->engine, check->to, error) : NULL;
        bool good = b != NULL;
        for (guint i = 0; good && i < rounds->len; i++) {
                const Round *round = g_ptr_array_index(rounds, i);
                good = !stopped(check, error) && read_side(a, round->table, round->keys, round->above, error);
        }
        /* Whoever waits too long compares them later: that is no reason to refuse the switch, which looks at the delay by itself. */
        bool late = false;
        if (good && online && rounds->len > 0) {
                g_autoptr(GError) local = NULL;
                late = !wait_until_applied(check, a, &local);
                if (late && !g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        good = false;
                }
        }
        for (guint i = 0; i < rounds->len; i++) {
                const Round *round = g_ptr_array_index(rounds, i);
                g_autoptr(GHashTable) below = verify_hashes_new();
                good = good && !stopped(check, error) && (late || read_side(b, round->table, round->keys, below, error));
                if (!good || late)
                        put_back(check, round->table, round->taken, 0, round->taken->len);
                else if (judge_round(check, round, below) > 0 && ret_different)
                        *ret_different = round->table;
        }
        g_ptr_array_set_size(rounds, 0);
        if (!good)
                engine_name_link_error(check->engine, error);
        return good;
}

/* All keys of all tables, ROUND at a time, until UNTIL: what is left then stays dirty, *ret_left of them. */
static bool compare_all(FinalCheck *check, bool online, gint64 until, const VerifyTable **ret_different, guint64 *ret_left, GError **error) {
        g_autoptr(GPtrArray) rounds = g_ptr_array_new_with_free_func(round_free);
        guint gathered = 0, size = online ? ROUND : FENCED_ROUND;
        bool good = true;
        *ret_left = 0;
        for (guint i = 0; i < check->tables->len; i++) {
                const VerifyTable *table = g_ptr_array_index(check->tables, i);
                g_autoptr(GPtrArray) taken = good ? dirty_take(check->engine->dirty, table->name) : NULL;
                for (guint at = 0; taken && at < taken->len;) {
                        if (!good || clock_monotonic() >= until) {
                                *ret_left += taken->len - at;
                                put_back(check, table, taken, at, taken->len - at);
                                break;
                        }
                        guint n = MIN(size - gathered, taken->len - at);
                        g_ptr_array_add(rounds, round_new(table, taken, at, n));
                        gathered += n;
                        at += n;
                        if (gathered < size)
                                continue;
                        good = compare_rounds(check, rounds, online, ret_different, error);
                        gathered = 0;
                }
        }
        return good && compare_rounds(check, rounds, online, ret_different, error);
}

static guint64 keys_left(const FinalCheck *check) {
        guint64 sum = 0, keys;
        for (guint i = 0; i < check->tables->len; i++)
                if (dirty_is_known(check->engine->dirty, ((const VerifyTable *) g_ptr_array_index(check->tables, i))->name, &keys))
                        sum += keys;
        return sum;
}

/* Each pass leaves what changed during it: that gets less as long as the servers are faster than the people, and not less than what they change
 * in the time of a short pass. More than ENOUGH are tried again in any case: the other side may have been behind for a moment, and what it
 * applies all at once is dirty all at once. */
static bool settle_keys(FinalCheck *check, GError **error) {
        gint64 until = clock_monotonic() + GUARD_USEC;
        guint64 least = G_MAXUINT64;
        for (guint stuck = 0; clock_monotonic() < until;) {
                guint64 left = keys_left(check), late;
                stuck = left < least ? 0 : stuck + 1;
                least = MIN(least, left);
                if (left <= FEW || (left <= ENOUGH && stuck >= STUCK))
                        break;
                if (!compare_all(check, /* online= */ true, until, /* ret_different= */ NULL, &late, error))
                        return false;
        }
        return true;
}

/* --- whole tables --- */

static bool wait_applied(gpointer userdata, const char *file, guint64 offset, gint64 timeout_usec, GError **error) {
        const FinalCheck *check = userdata;
        if (stopped(check, error))
                return false;
        if (check->engine->link)
                return engine_wait_link(check->engine, file, offset, timeout_usec < 0 ? WHOLE_WAIT_USEC : timeout_usec, error);
        g_set_error(error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "replication is not running");
        return false;
}

/* TABLES (of TableSchema) while people write; what changes meanwhile is dirty from now on. */
static bool compare_whole(FinalCheck *check, const GPtrArray *tables, GError **error) {
        Engine *engine = check->engine;
        g_auto(VerifyResult) result = {0};
        VerifyInput input = {
                .upstream = engine->params[check->from],
                .downstream = engine->params[check->to],
                .tables = tables,
                .lock_wait = LOCK_WAIT,
                .wait_applied = wait_applied,
                .userdata = check,
        };
        g_autoptr(GError) local = NULL;
        if (!verify_run(&input, &result, &local)) {
                if (mysql_error_is_retryable(local))
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "a table could not be read for the final check: a session holds LOCK TABLES or runs a long statement on the %s; end it "
                                    "and try again", side_to_string(check->from));
                else {
                        g_propagate_error(error, g_steal_pointer(&local));
                        engine_name_link_error(engine, error);
                }
                return false;
        }
        check->whole += result.tables;
        check->rows += result.rows;
        return result.different == 0 || differs(check, "a table that was compared whole", error);
}

/* Duplicates count: a table without a key is compared by it, too. */
static bool read_sums(Conn *conn, const VerifyTable *table, char **ret, guint64 *ret_rows, GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT COUNT(*)");
        for (unsigned part = 0; part < 2; part++)
                g_string_append_printf(sql, ",SUM(CAST(CONV(SUBSTRING(h,%u,15),16,10) AS DECIMAL(30,0)))", part * 15 + 1);
        g_string_append_printf(sql, " FROM (SELECT %s AS h%s LIMIT %" G_GUINT64_FORMAT ") AS d", table->row_hash, table->from, G_MAXUINT64);
        g_autoptr(ConnRows) rows = conn_query(conn, sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row || !row[0]) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: no sum of %s", conn_label(conn), table->name);
                return false;
        }
        *ret_rows = g_ascii_strtoull(row[0], NULL, 10);
        *ret = g_strdup_printf("%s %s %s", row[0], row[1] ? row[1] : "", row[2] ? row[2] : "");
        return true;
}

static bool compare_fenced(FinalCheck *check, const VerifyTable *table, GError **error) {
        Conn *a = control_acquire(check->engine, check->from, error), *b = a ? control_acquire(check->engine, check->to, error) : NULL;
        g_autofree char *above = NULL, *below = NULL;
        guint64 rows;
        if (!b || !read_sums(a, table, &above, &rows, error) || !read_sums(b, table, &below, &rows, error)) {
                engine_name_link_error(check->engine, error);
                return false;
        }
        check->whole++;
        check->rows += rows;
        return strcmp(above, below) == 0 || differs(check, table->name, error);
}

/* --- which table is looked at how --- */

static bool zeros_apart(FinalCheck *check) {
        Conn *a = control_acquire(check->engine, check->from, NULL), *b = a ? control_acquire(check->engine, check->to, NULL) : NULL;
        return b && flavor_has_negative_zero(conn_flavor(a)) && flavor_has_negative_zero(conn_flavor(b));
}

static VerifyTable *new_table(const TableSchema *schema, bool apart) {
        VerifyTable *table = verify_table_new(schema, 0);
        if (apart && schema->key->len == 0)
                verify_table_tell_zeros_apart(table);
        return table;
}

/* TABLE, of which it is not known which rows changed, behind the fence, or not at all. */
static void fence_or_leave(FinalCheck *check, VerifyTable *table, const char *why) {
        guint64 rows = table->table->rows_estimate;
        if (rows <= FENCED_ROWS && check->fenced_rows + rows <= FENCED_ROWS_TOTAL) {
                check->fenced_rows += rows;
                g_ptr_array_add(check->fenced, table);
                return;
        }
        leave(check, table->name, why);
        verify_table_free(table);
}

/* Sorts the tables; WHOLE gets those that are compared now. */
static void sort_tables(FinalCheck *check, GPtrArray *whole) {
        guint64 now_total = 0;
        bool apart = zeros_apart(check);
        for (guint i = 0; i < check->objects->tables->len; i++) {
                const TableSchema *schema = g_ptr_array_index(check->objects->tables, i);
                g_autoptr(VerifyTable) table = new_table(schema, apart);
                guint64 keys, rows = schema->rows_estimate;
                if (dirty_is_known(check->engine->dirty, table->name, &keys))
                        g_ptr_array_add(check->tables, g_steal_pointer(&table));
                else if (schema->key->len > 0 && rows <= WHOLE_ROWS && now_total + rows <= WHOLE_ROWS_TOTAL) {
                        now_total += rows;
                        dirty_watch(check->engine->dirty, table->name);
                        g_ptr_array_add(whole, (gpointer) schema);
                        g_ptr_array_add(check->tables, g_steal_pointer(&table));
                } else
                        fence_or_leave(check, g_steal_pointer(&table), "which rows changed since the last comparison is not known, and the table is too large "
                                       "to be compared whole");
        }
}

/* What the dispatcher made unknown since: too much changed, or a cascade did it. */
static void drop_unknown(FinalCheck *check) {
        guint64 keys;
        for (guint i = check->tables->len; i > 0; i--) {
                if (dirty_is_known(check->engine->dirty, ((const VerifyTable *) g_ptr_array_index(check->tables, i - 1))->name, &keys))
                        continue;
                fence_or_leave(check, g_ptr_array_steal_index(check->tables, i - 1),
                               "more rows changed than could be remembered, or cascades changed them, and the table is too large to be compared whole");
        }
}

bool final_check_prepare(FinalCheck *check, GError **error) {
        check->began = clock_monotonic();
        if (check->engine->spec->verify == VERIFY_ADVISORY) {
                leave(check, "*", "verify=advisory");
                return true;
        }
        Conn *a = control_acquire(check->engine, check->from, error);
        check->objects = a ? objects_list(a, check->engine->spec, error) : NULL;
        if (!check->objects) {
                engine_name_link_error(check->engine, error);
                return false;
        }
        g_autoptr(GPtrArray) whole = g_ptr_array_new();
        sort_tables(check, whole);
        if (whole->len > 0 && !compare_whole(check, whole, error)) {
                dirty_forget(check->engine->dirty); /* they were not found equal */
                return false;
        }
        if (!settle_keys(check, error))
                return false;
        check->keys_online = check->keys;
        return true;
}

/* --- behind the fence --- */

static void record(const FinalCheck *check, gint64 fenced_at) {
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "keys", (gint64) check->keys);
        json_object_set_int_member(object, "keys_behind_fence", (gint64) (check->keys - check->keys_online));
        json_object_set_int_member(object, "whole_tables", (gint64) check->whole);
        json_object_set_int_member(object, "whole_rows", (gint64) check->rows);
        json_object_set_double_member(object, "seconds", (double) (clock_monotonic() - check->began) / USEC_PER_SEC);
        json_object_set_double_member(object, "seconds_behind_fence", (double) (clock_monotonic() - fenced_at) / USEC_PER_SEC);
        json_object_set_array_member(object, "not_compared", json_array_ref(check->left));
        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
        json_object_unref(object);
        g_free(check->engine->state->final_check);
        check->engine->state->final_check = json_to_string(node, FALSE);
}

bool final_check_run(FinalCheck *check, gint64 timeout_usec, GError **error) {
        gint64 began = clock_monotonic(), until = began + timeout_usec;
        const VerifyTable *different = NULL;
        guint64 late = 0;
        drop_unknown(check);
        if (!compare_all(check, /* online= */ false, until, &different, &late, error))
                return false;
        if (different)
                return differs(check, different->name, error);
        if (late > 0) {
                g_autofree char *why = g_strdup_printf("%" G_GUINT64_FORMAT " changed rows were left when the time behind the fence was up", late);
                leave(check, "*", why);
        }
        for (guint i = 0; i < check->fenced->len; i++) {
                const VerifyTable *table = g_ptr_array_index(check->fenced, i);
                if (clock_monotonic() >= until)
                        leave(check, table->name, "the time was up");
                else if (stopped(check, error) || !compare_fenced(check, table, error))
                        return false;
        }
        record(check, began);
        guint left = json_array_get_length(check->left);
        if (left > 0)
                engine_event(check->engine, ENGINE_EVENT_NOTE, 5, "the final check left %u %s out; the report names them", left, left == 1 ? "table" : "tables");
        return true;
}
