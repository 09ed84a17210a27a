/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See switch-account.h. Names of accounts are in these documents: they are shown under `inspect` only, and are in no event. */

#include "engine/switch-account.h"

#include "base/clock.h"
#include "engine/control.h"
#include "engine/fence.h"
#include "engine/program-sync.h"

#define SAMPLES 5
#define STATEMENTS 30  /* round trips between the fence and the opening, by count of the steps */
#define COMMITS 4      /* of our own rows among them */
#define JOURNAL 9      /* intentions that are written and synced */
#define TRIGGER_SYNCS 3 /* files that a server syncs for one trigger, about */
#define APPLY_USEC (5 * USEC_PER_SEC)
#define SESSIONS_MAX 1000 /* listed */

static void set_text(JsonObject *object, const char *name, const char *value) {
        g_autofree char *text = value ? g_utf8_make_valid(value, -1) : NULL;
        if (text)
                json_object_set_string_member(object, name, text);
        else
                json_object_set_null_member(object, name);
}

static JsonObject *session_object(const Session *session) {
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "id", (gint64) session->id);
        set_text(object, "user", session->user);
        set_text(object, "host", session->host);
        set_text(object, "database", session->database);
        return object;
}

static JsonNode *array_node(JsonArray *array /* consumed */) {
        JsonNode *node = json_node_init_array(json_node_alloc(), array);
        json_array_unref(array);
        return node;
}

/* Those that the fence would end, and why. */
static JsonNode *sessions_to_end(const GPtrArray *sessions, bool kill_sessions, guint64 *ret_oldest) {
        JsonArray *array = json_array_new();
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                *ret_oldest = MAX(*ret_oldest, session->seconds);
                if (!fence_would_end(session, kill_sessions) || json_array_get_length(array) >= SESSIONS_MAX)
                        continue;
                JsonObject *object = session_object(session);
                if (session->transaction)
                        json_object_set_int_member(object, "seconds", (gint64) session->seconds);
                else
                        json_object_set_null_member(object, "seconds");
                json_object_set_string_member(object, "why", fence_why_end(session));
                json_array_add_object_element(array, object);
        }
        return array_node(array);
}

static double seconds_since(gint64 began) {
        return (double) (clock_monotonic() - began) / USEC_PER_SEC;
}

/* --- beforehand --- */

typedef struct Estimate {
        double statements, commits, journal, applying, triggers;
        guint triggers_to_make;
} Estimate;

static bool measure_statements(Conn *a, Conn *b, double *ret, GError **error) {
        gint64 began = clock_monotonic();
        guint64 one;
        for (guint i = 0; i < SAMPLES; i++)
                if (!conn_query_uint64(a, "SELECT 1", &one, error) || !conn_query_uint64(b, "SELECT 1", &one, error))
                        return false;
        *ret = seconds_since(began) / (2 * SAMPLES);
        return true;
}

static bool write_canary(Engine *engine, Conn *conn, GError **error) {
        guint64 value = clock_real();
        return conn_execf(conn, error, "INSERT INTO %s (id, value) VALUES (1, %" G_GUINT64_FORMAT ") ON DUPLICATE KEY UPDATE value=%" G_GUINT64_FORMAT,
                          engine->ledger->canary, value, value);
}

static bool measure_commits(Engine *engine, Conn *b, double *ret, GError **error) {
        gint64 began = clock_monotonic();
        for (guint i = 0; i < SAMPLES; i++)
                if (!write_canary(engine, b, error))
                        return false;
        *ret = seconds_since(began) / SAMPLES;
        return true;
}

/* From what A has logged now until B has applied it. */
static bool measure_applying(Engine *engine, Conn *a, double *ret, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        if (!conn_binlog_position(a, &file, &offset, error))
                return false;
        gint64 began = clock_monotonic();
        if (!engine_wait_link(engine, file, offset, APPLY_USEC, error))
                return false;
        *ret = seconds_since(began);
        return true;
}

static bool measure_journal(Engine *engine, double *ret, GError **error) {
        gint64 began = clock_monotonic();
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error))
                return false;
        *ret = seconds_since(began);
        return true;
}

static guint triggers_for(const Engine *engine, Side to) {
        guint count = 0;
        for (guint i = 0; engine->programs && i < engine->programs->entries->len; i++) {
                const ProgramEntry *entry = g_ptr_array_index(engine->programs->entries, i);
                count += entry->kind == PROGRAM_TRIGGER && !entry->refused[to];
        }
        return count;
}

static bool estimate(Engine *engine, Conn *a, Conn *b, Side to, Estimate *ret, GError **error) {
        double statement, commit, journal;
        if (!measure_statements(a, b, &statement, error) || !measure_commits(engine, b, &commit, error) ||
            !measure_applying(engine, a, &ret->applying, error) || !measure_journal(engine, &journal, error))
                return false;
        ret->triggers_to_make = triggers_for(engine, to);
        ret->statements = STATEMENTS * statement;
        ret->commits = COMMITS * commit;
        ret->journal = JOURNAL * journal;
        ret->triggers = ret->triggers_to_make * (statement + TRIGGER_SYNCS * commit) / CLAMP(ret->triggers_to_make, 1, PROGRAM_MAKERS);
        return true;
}

static void add_estimate(JsonObject *plan, const Estimate *e) {
        JsonObject *parts = json_object_new();
        json_object_set_double_member(parts, "statements", e->statements);
        json_object_set_double_member(parts, "commits", e->commits);
        json_object_set_double_member(parts, "journal", e->journal);
        json_object_set_double_member(parts, "applying", e->applying);
        json_object_set_double_member(parts, "triggers", e->triggers);
        json_object_set_double_member(plan, "estimated-interruption", e->statements + e->commits + e->journal + e->applying + e->triggers);
        json_object_set_object_member(plan, "estimate", parts);
        json_object_set_int_member(plan, "triggers-to-make", e->triggers_to_make);
}

bool switch_record_plan(Engine *engine, const EngineOperation *operation, Side from, Side to, GError **error) {
        guint64 oldest = 0;
        LinkStatus status;
        Estimate e = {0};
        Conn *a = control_acquire(engine, from, error), *b = a ? control_acquire(engine, to, error) : NULL;
        if (!b)
                return false;
        g_autoptr(GPtrArray) sessions = fence_sessions(&engine->fence, a, &engine->session_looks[from], error);
        if (!sessions || !estimate(engine, a, b, to, &e, error)) {
                engine_name_link_error(engine, error);
                return false;
        }
        JsonNode *listed = sessions_to_end(sessions, operation->kill_sessions, &oldest);
        link_get_status(engine->link, &status);
        JsonObject *plan = json_object_new();
        json_object_set_string_member(plan, "operation", operation_kind_to_string(operation->kind));
        json_object_set_boolean_member(plan, "dry-run", TRUE);
        json_object_set_boolean_member(plan, "allowed", TRUE);
        json_object_set_int_member(plan, "at", (gint64) clock_real());
        json_object_set_double_member(plan, "delay", status.delay);
        json_object_set_int_member(plan, "transactions-behind", (gint64) (status.read > status.low_water ? status.read - status.low_water : 0));
        json_object_set_int_member(plan, "sessions-that-would-be-ended", json_array_get_length(json_node_get_array(listed)));
        json_object_set_int_member(plan, "oldest-transaction-seconds", (gint64) oldest);
        json_object_set_member(plan, "sessions", listed);
        add_estimate(plan, &e);
        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), plan);
        json_object_unref(plan);
        g_free(engine->state->last_plan);
        engine->state->last_plan = json_to_string(node, FALSE);
        return true;
}

/* --- meanwhile --- */

void switch_parts_begin(SwitchParts *parts, gint64 at) {
        switch_parts_clear(parts);
        *parts = (SwitchParts){.at = at, .seconds = json_object_new()};
}

void switch_part(SwitchParts *parts, const char *name) {
        if (!parts->seconds)
                return;
        gint64 now = clock_monotonic();
        double before = json_object_get_double_member_with_default(parts->seconds, name, 0);
        json_object_set_double_member(parts->seconds, name, before + (double) (now - parts->at) / USEC_PER_SEC);
        parts->at = now;
}

char *switch_parts_text(const SwitchParts *parts) {
        if (!parts->seconds)
                return NULL;
        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), parts->seconds);
        return json_to_string(node, FALSE);
}

void switch_parts_clear(SwitchParts *parts) {
        g_clear_pointer(&parts->seconds, json_object_unref);
}

/* --- behind it --- */

void switch_record_left(Engine *engine, const EngineOperation *operation, Side from) {
        g_autoptr(GError) error = NULL;
        guint ended = 0;
        g_clear_pointer(&engine->state->sessions_left, g_free);
        Conn *a = control_acquire(engine, from, &error);
        g_autoptr(GPtrArray) sessions = a ? sessions_of_others(a, &engine->session_looks[from], &error) : NULL;
        if (!sessions) {
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "who is still connected to the %s is not known: %s", side_to_string(from), error->message);
                return;
        }
        JsonArray *array = json_array_new();
        for (guint i = 0; i < sessions->len && json_array_get_length(array) < SESSIONS_MAX; i++) {
                const Session *session = sessions->pdata[i];
                if (session->dump)
                        continue;
                json_array_add_object_element(array, session_object(session));
                if (operation->kill_sessions)
                        ended += conn_execf(a, NULL, "KILL %" G_GUINT64_FORMAT, session->id);
        }
        guint count = json_array_get_length(array);
        if (operation->kill_sessions && count > 0)
                engine_event(engine, ENGINE_EVENT_NOTE, 5, "%u of %u sessions that were still connected to the %s were ended", ended, count,
                             side_to_string(from));
        else if (count > 0)
                engine_event(engine, ENGINE_EVENT_NOTE, 5, "%u sessions are still connected to the %s; the report lists them", count, side_to_string(from));
        g_autoptr(JsonNode) node = array_node(array);
        engine->state->sessions_left = json_to_string(node, FALSE);
}
