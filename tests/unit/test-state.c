/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The durable state: written and read again whole, and refused when anything about it is off. */

#include "base/error.h"
#include "record.h"

static Record *make(void) {
        MigrationSpec *spec = spec_new("shop");
        g_assert_true(spec_set_text(spec, "source", "mysql://a@h1/?ssl-mode=disabled", NULL));
        g_assert_true(spec_set_text(spec, "destination", "mysql://a@h2/?ssl-mode=disabled", NULL));
        Record *record = record_new(spec, 1700000000000000, 1000);
        EngineState *s = record->state;
        record->phase = MIGRATION_PHASE_SWITCHED;
        record->synchronizing_at = 1700000001000000;
        record->confirm_by = 5;
        record->operation = (RecordOperation) {
                .request = { .id = 7, .kind = OPERATION_ROLLBACK, .flags = 1, .max_delay = -1, .deadline = 2.5, .kill_sessions = true },
                .confirm_within = 30,
        };
        record->last = (RecordLast) {
                .id = 6, .kind = OPERATION_SWITCH, .result = OPERATION_RESULT_UNDONE, .error = PS_ERROR_DEADLINE_EXCEEDED,
                .message = g_strdup("too late"), .finished_at = 9,
        };
        s->epoch = 3;
        s->writer = SIDE_DESTINATION;
        s->leg = 2;
        s->workers = 4;
        binlog_position_set(&s->leg_start, "bin.000001", 4);
        binlog_position_set_gtids(&s->leg_start, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5");
        s->copied = true;
        s->identity[SIDE_SOURCE] = g_strdup("uuid-a");
        s->operation_id = 7;
        s->step = SWITCH_STEP_COMMIT;
        binlog_position_set(&s->end_position, "bin.000002", G_MAXUINT32 + G_GUINT64_CONSTANT(10));
        s->verification = VERIFICATION_DIFFERENT;
        s->verification_summary = g_strdup("{\"rows\":1}");
        s->verification_progress = g_strdup("{\"rows\":2}");
        s->write_interruption = 0.321;
        s->foreign_writes = 5;
        g_ptr_array_add(s->checks, check_row_new("a", CHECK_WARNING, PS_ERROR_INSUFFICIENT_PRIVILEGE, "bytes \xff here", NULL));
        g_ptr_array_add(s->unfit, g_strdup("view `a`.`b`: \"quoted\""));
        return record;
}

static void test_round_trip(void) {
        g_autoptr(Record) record = make();
        g_autoptr(Record) copy = record_copy(record);
        g_autofree char *text = record_to_text(copy);
        g_autoptr(GError) error = NULL;
        g_autoptr(Record) read = record_from_text(text, strlen(text), &error);
        g_assert_no_error(error);
        g_autofree char *again = record_to_text(read);
        g_assert_cmpstr(text, ==, again);
        g_assert_cmpuint(read->state->end_position.offset, ==, G_MAXUINT32 + G_GUINT64_CONSTANT(10));
        g_assert_cmpstr(read->state->leg_start.gtids, ==, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5");
        g_assert_null(read->state->end_position.gtids);
        g_assert_cmpint((int) read->state->step, ==, SWITCH_STEP_COMMIT);
        g_assert_cmpuint(record_expires_at(read), ==, 1700000001000000 + 604800 * G_GUINT64_CONSTANT(1000000));
        g_assert_cmpint(read->last.error, ==, PS_ERROR_DEADLINE_EXCEEDED);
}

static void refuse(const char *text, gsize length) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Record) record = record_from_text(text, length, &error);
        if (!record)
                g_assert_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
}

static void test_every_cut(void) {
        g_autoptr(Record) record = make();
        g_autofree char *text = record_to_text(record);
        for (gsize n = 0; n < strlen(text); n++) {
                g_autoptr(GError) error = NULL;
                g_assert_null(record_from_text(text, n, &error));
                g_assert_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
        }
}

/* Every member taken away, and every member of another kind. */
static void damage(JsonObject *root, JsonObject *object) {
        g_autoptr(GList) names = json_object_get_members(object);
        for (GList *l = names; l; l = l->next) {
                g_autofree char *name = g_strdup(l->data); /* the member owns its own */
                JsonNode *kept = json_node_copy(json_object_get_member(object, name));
                bool optional = (object != root && json_object_has_member(object, "fence")) || /* a request has defaults */
                                strcmp(name, "recovered-xa") == 0 || strcmp(name, "interruption-parts") == 0 ||
                                strcmp(name, "copied-seq") == 0 || strcmp(name, "reverse-start-server") == 0 ||
                                g_str_has_prefix(name, "allow-list") || strcmp(name, "binlog-left") == 0 ||
                                g_str_has_suffix(name, "-closed") || g_str_has_suffix(name, "-opening-sql"); /* older agents did not write them */
                if (JSON_NODE_HOLDS_OBJECT(kept))
                        damage(root, json_object_get_object_member(object, name));
                kept = (json_node_unref(kept), json_node_copy(json_object_get_member(object, name)));
                for (int kind = 0; kind < 3; kind++) {
                        if (kind == 0)
                                json_object_remove_member(object, name);
                        else if (kind == 1)
                                json_object_set_array_member(object, name, json_array_new());
                        else
                                json_object_set_string_member(object, name, "no such \x01 value");
                        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), root);
                        g_autofree char *text = json_to_string(node, FALSE);
                        g_autoptr(GError) error = NULL;
                        g_autoptr(Record) record = record_from_text(text, strlen(text), &error);
                        if (kind == 0 && !optional) {
                                g_assert_null(record);
                                g_assert_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
                        } else if (!record) {
                                g_assert_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
                        }
                        json_object_set_member(object, name, json_node_copy(kept));
                }
                json_node_unref(kept);
        }
}

static void test_damage(void) {
        g_autoptr(Record) record = make();
        g_autofree char *text = record_to_text(record);
        g_autoptr(JsonNode) node = json_from_string(text, NULL);
        damage(json_node_get_object(node), json_node_get_object(node));
}

/* Bytes changed at random: never a crash, never another error. */
static void test_noise(void) {
        g_autoptr(Record) record = make();
        g_autofree char *text = record_to_text(record);
        gsize length = strlen(text);
        g_autoptr(GRand) rand = g_rand_new_with_seed(42);
        for (int i = 0; i < 3000; i++) {
                g_autofree char *noisy = g_strdup(text);
                for (int k = g_rand_int_range(rand, 1, 4); k > 0; k--)
                        noisy[g_rand_int_range(rand, 0, (gint32) length)] = (char) g_rand_int_range(rand, 1, 256);
                refuse(noisy, length);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/state/round-trip", test_round_trip);
        g_test_add_func("/state/every-cut", test_every_cut);
        g_test_add_func("/state/damage", test_damage);
        g_test_add_func("/state/noise", test_noise);
        return g_test_run();
}
