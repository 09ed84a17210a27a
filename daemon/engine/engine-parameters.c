/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parameters of a migration: carried at Start, as the last thing before the stream's position is taken; the old values are in the state, so that a
 * start that fails sets them back, and the report can tell them. From then on the source's are watched: the monitor reads them each second, and
 * what is another than at Start is an event, and in the report. A destination that was restarted has forgotten what SET GLOBAL gave it, and gets
 * it again. A binary log in another format than ours stops the link at once. */

#include "engine/engine-private.h"

#include "base/error.h"
#include "engine/control.h"
#include "engine/monitor.h"
#include "engine/parameter.h"

/* Whole servers only: other databases of the destination may be somebody else's. */
static void keep_what_is_shared(const Engine *engine, GPtrArray *parameters) {
        for (guint i = 0; !spec_is_whole_instance(engine->spec) && i < parameters->len; i++) {
                Parameter *parameter = parameters->pdata[i];
                if (parameter->outcome != PARAMETER_CARRIED)
                        continue;
                parameter->outcome = PARAMETER_NOT_CARRIED;
                parameter->why = g_strdup("only a part of the source is migrated");
        }
}

static GPtrArray *compare(Engine *engine, Conn *source, Conn *down, GError **error) {
        g_autoptr(GHashTable) there = parameters_read(source, error);
        g_autoptr(GHashTable) here = there ? parameters_read(down, error) : NULL;
        if (!here)
                return NULL;
        GPtrArray *parameters = parameters_compare(there, here, conn_flavor(down));
        keep_what_is_shared(engine, parameters);
        return parameters;
}

static void remember(Engine *engine, const GPtrArray *parameters) {
        g_free(engine->state->parameters);
        engine->state->parameters = parameters_to_text(parameters);
}

bool engine_parameters_undo(Engine *engine, GError **error) {
        g_autoptr(GPtrArray) parameters = parameters_from_text(engine->state->parameters);
        Conn *down = parameters ? control_acquire(engine, SIDE_DESTINATION, error) : NULL;
        if (parameters && (!down || !parameters_restore(parameters, down, error)))
                return false;
        g_clear_pointer(&engine->state->parameters, g_free);
        return true;
}

bool engine_parameters_carry(Engine *engine, Conn *source, GError **error) {
        Conn *down = control_acquire(engine, SIDE_DESTINATION, error);
        /* What an interrupted start has set is not what the destination had. */
        if (!down || !engine_parameters_undo(engine, error))
                return false;
        g_autoptr(GPtrArray) parameters = compare(engine, source, down, error);
        if (!parameters) {
                engine_name_link_error(engine, error);
                return false;
        }
        remember(engine, parameters); /* the old values are on disk before any is changed */
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error))
                return false;
        if (!parameters_carry(parameters, down, error)) {
                engine_name_error(engine, SIDE_DESTINATION, error);
                return false;
        }
        remember(engine, parameters);
        if (!conn_boot_time(down, &engine->state->parameters_boot, NULL))
                engine->state->parameters_boot = 0;
        for (guint i = 0; i < parameters->len; i++) {
                const Parameter *parameter = parameters->pdata[i];
                if (parameter->outcome == PARAMETER_NOT_CARRIED)
                        engine_event(engine, ENGINE_EVENT_NOT_CARRIED, 5, "not carried (parameter %s): %s", parameter->name, parameter->why);
        }
        return true;
}

/* ---- the watch */

/* The monitor's thread: something is another than it said last. */
void engine_parameters_seen(gpointer userdata, Side side, GHashTable *values, guint64 boot) {
        Engine *engine = userdata;
        pthread_mutex_lock(&engine->lock);
        g_clear_pointer(&engine->parameters_seen[side], g_hash_table_unref);
        engine->parameters_seen[side] = g_hash_table_ref(values);
        engine->boot_seen[side] = boot;
        pthread_mutex_unlock(&engine->lock);
        engine_poke(engine);
}

static void take_drift(Engine *engine, GHashTable *now) {
        g_autoptr(GPtrArray) parameters = parameters_from_text(engine->state->parameters), news = g_ptr_array_new();
        if (!parameters)
                return;
        parameters_watch(parameters, now, news);
        for (guint i = 0; i < news->len; i++) {
                const Parameter *parameter = news->pdata[i];
                if (parameter->drift)
                        engine_event(engine, ENGINE_EVENT_PARAMETER_CHANGED, 4, "somebody changed %s on the source, where it must not be changed during a "
                                     "migration; the report tells its values", parameter->name);
                else
                        engine_event(engine, ENGINE_EVENT_PARAMETER_CHANGED, 5, "%s is on the source what it was at the start again", parameter->name);
        }
        if (news->len == 0)
                return;
        remember(engine, parameters);
        (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL);
}

/* What somebody set on a running destination is his affair; what a restart undid is ours. false: to be tried again. */
static bool set_again(Engine *engine, guint64 boot) {
        g_autoptr(GPtrArray) parameters = parameters_from_text(engine->state->parameters);
        guint64 known = engine->state->parameters_boot;
        guint count = 0;
        if (!parameters || known == 0 || known == boot)
                return true;
        Conn *down = control_acquire(engine, SIDE_DESTINATION, NULL);
        guint64 boot_of_down;
        if (!down || !conn_boot_time(down, &boot_of_down, NULL) || boot_of_down != boot ||
            !parameters_set_again(parameters, down, &count, NULL))
                return false;
        engine->state->parameters_boot = boot;
        if (count > 0)
                engine_event(engine, ENGINE_EVENT_PARAMETER_CHANGED, 5, "the destination was restarted: %u parameters that were carried are set there again", count);
        (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL);
        return true;
}

bool engine_parameters_look(Engine *engine, GError **error) {

        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                pthread_mutex_lock(&engine->lock);
                g_autoptr(GHashTable) now = g_steal_pointer(&engine->parameters_seen[side]);
                guint64 boot = engine->boot_seen[side];
                pthread_mutex_unlock(&engine->lock);
                if (!now)
                        continue;
                if (side == SIDE_DESTINATION && !set_again(engine, boot)) {
                        pthread_mutex_lock(&engine->lock);
                        if (!engine->parameters_seen[side])
                                engine->parameters_seen[side] = g_hash_table_ref(now);
                        pthread_mutex_unlock(&engine->lock);
                }
                if (side == SIDE_SOURCE)
                        take_drift(engine, now);
                g_free(engine->wrong_log[side]);
                engine->wrong_log[side] = parameters_wrong_log(now);
        }
        const char *wrong = engine->wrong_log[engine->state->writer];
        if (!wrong)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED, "on the %s, whose log is read, %s", side_to_string(engine->state->writer), wrong);
        return false;
}
