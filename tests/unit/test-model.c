/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying under write load, as a model: a source, a reader, copiers, a dispatcher, workers and a destination in one thread, in an order that
 * a seed decides, with crashes. The chunk map, the overlay and the keys are the real code; around them stand the rules of copy.c and
 * apply.c; in a third of the runs no two rows may share a value, as under a secondary unique key. In the end the destination must equal the
 * source, and no strict statement may have failed on the way.
 *
 * The same runs with one mistake built in must fail for some seed: this is what shows that the model can see it. */

#include <string.h>

#include "engine/chunk.h"
#include "engine/copy-rows.h"
#include "fixture.h"

#define KEYS 14
#define WORKERS 3
#define COPIERS 2
#define SEEDS 2000
#define MAX_STEPS 2000000

typedef enum Mutant {
        MUTANT_NONE,
        MUTANT_DROP_BEYOND_H,    /* drops seq <= h_seq + 1 */
        MUTANT_APPLY_AT_H,       /* applies seq = h_seq */
        MUTANT_NO_OVERLAY,
        MUTANT_OVERLAY_BEYOND_H, /* takes side rows of transactions behind h_seq */
        MUTANT_OVERLAY_ALL_KEYS, /* lays rows beyond a shortened chunk over it too */
        MUTANT_NO_DELETES,       /* the side queue misses deleted rows */
        MUTANT_WAIT_APPLIES,     /* applies what should wait */
        MUTANT_WAIT_DROPS,       /* drops what should wait */
        MUTANT_HOLE_APPLIES,     /* applies where no chunk is */
        MUTANT_LATE_REGISTER,    /* collects only once the rows were read */
        MUTANT_NO_WATERMARK,     /* reads without proof that what is logged is visible */
        MUTANT_EARLY_H,          /* takes H before the rows are read */
        MUTANT_ONE_H,            /* after a restart every chunk has the highest H */
        MUTANT_FORGET_PART,      /* after a restart a worker does not know how much of a transaction it had */
        MUTANT_NO_LIVE_WAIT,     /* brings in rows with unique values while the live ones are before h_seq */
        MUTANT_UNORDERED,        /* several workers change a table with unique values */
        _MUTANT_MAX,
} Mutant;

typedef struct State {
        int value[KEYS]; /* 0: no such row */
} State;

/* One row event: key −1 is no image. */
typedef struct RowEvent {
        int before, after, value;
} RowEvent;

typedef struct ModelChange {
        RowOperation operation;
        int key, value;
} ModelChange;

typedef struct ModelPacket {
        GArray *changes;
        guint64 done_seq, part;
} ModelPacket;

typedef enum CopierStep { STEP_IDLE, STEP_WATERMARK, STEP_SELECT, STEP_POSITION, STEP_READER, STEP_CLOSE, STEP_WRITE, STEP_FINISH } CopierStep;

typedef struct ModelCopier {
        CopierStep step;
        Key lo, hi;   /* claimed */
        Chunk *chunk;
        guint64 registered, h_position, h_seq;
        GPtrArray *side;
        RowBuffer rows;
        guint written;
} ModelCopier;

typedef struct DoneChunk {
        Key lo, hi;
        guint64 h_seq;
} DoneChunk;

typedef struct Model {
        GRand *rand;
        Mutant mutant;
        TableSchema *schema;
        char *error;
        bool whole_table; /* read under a lock, not in chunks */
        bool unique;      /* no two rows may have the same value: a secondary unique key */
        gsize side_max;

        /* The source. */
        GPtrArray *log; /* of GArray of RowEvent; transaction n is log[n-1] */
        GArray *states; /* of State: behind each transaction */
        guint visible;  /* a SELECT sees at least so many transactions */
        guint to_write;
        bool locked;

        /* The agent. */
        ChunkMap *chunks;
        guint64 started, completed;
        guint read_event;
        ModelCopier copiers[COPIERS];
        guint64 seq; /* the dispatcher's */
        guint event, image;
        bool live;
        guint64 part[WORKERS], sent[WORKERS], resume_seq[WORKERS], resume_part[WORKERS];
        ModelPacket *pending[WORKERS];
        GQueue queues[WORKERS];

        /* The destination. */
        State rows;
        GArray *done; /* of DoneChunk */
        guint64 applied[WORKERS], checkpoint_seq[WORKERS], checkpoint_part[WORKERS];
} Model;

static int below(Model *model, int n) {
        return g_rand_int_range(model->rand, 0, n);
}

static void fail(Model *model, const char *what, int key) {
        if (!model->error)
                model->error = g_strdup_printf("%s (key %d)", what, key);
}

static void append_key(const Model *model, GString *out, int key) {
        if (model->schema->key->len == 1) /* negative ones, and more digits than others */
                g_string_append_printf(out, "%d", (key - KEYS / 2) * 7);
        else {
                g_string_append_printf(out, "%d", key / 3 - 2);
                g_string_append_c(out, '\0');
                g_string_append_printf(out, "'%c%s'", 'a' + key % 3, key % 2 ? "" : "x");
        }
        g_string_append_c(out, '\0');
}

/* Whether a row other than KEY's has it. */
static bool value_taken(const State *state, int key, int value) {
        for (int other = 0; other < KEYS; other++)
                if (other != key && state->value[other] == value)
                        return true;
        return false;
}

static void put_row(Model *model, int key, int value, const char *duplicate) {
        if (model->unique && value && value_taken(&model->rows, key, value))
                fail(model, duplicate, key);
        model->rows.value[key] = value;
}

/* --- the source --- */

/* Few values where they are unique: they wander from row to row. */
static int new_value(Model *model, const State *state) {
        int value = 1 + below(model, model->unique ? 2 * KEYS : 1000000);
        while (model->unique && value_taken(state, /* key= */ -1, value))
                value = value % (2 * KEYS) + 1;
        return value;
}

static void write_transaction(Model *model) {
        State state = g_array_index(model->states, State, model->log->len);
        GArray *events = g_array_new(FALSE, FALSE, sizeof(RowEvent));
        for (int n = below(model, 4) + (below(model, 20) == 0 ? 12 : 0); n >= 0; n--) {
                int key = below(model, KEYS), value = new_value(model, &state);
                RowEvent event = {.before = -1, .after = key, .value = value};
                if (state.value[key]) {
                        event.before = key;
                        int what = below(model, 4), other = below(model, KEYS);
                        if (what == 0)
                                event.after = -1;
                        else if (what == 1 && !state.value[other])
                                event.after = other; /* the key itself changes */
                        state.value[key] = 0;
                }
                if (event.after >= 0)
                        state.value[event.after] = value;
                g_array_append_val(events, event);
        }
        g_ptr_array_add(model->log, events);
        g_array_append_val(model->states, state);
}

static void write_watermark(Model *model) {
        State state = g_array_index(model->states, State, model->log->len);
        g_ptr_array_add(model->log, g_array_new(FALSE, FALSE, sizeof(RowEvent)));
        g_array_append_val(model->states, state);
        if (model->mutant != MUTANT_NO_WATERMARK)
                model->visible = model->log->len;
}

/* --- the reader --- */

static void collect(Model *model, int key, int value) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *tuple = g_strdup_printf("(%d,%d)", key, value);
        if (value == 0 && model->mutant == MUTANT_NO_DELETES)
                return;
        append_key(model, text, key);
        chunk_map_collect(model->chunks, model->started, text->str, text->len, tuple, value ? strlen(tuple) : 0, /* enum_zeros= */ 0,
                          /* deleted= */ value == 0, model->side_max);
}

static void step_reader(Model *model) {
        if (model->completed >= model->log->len)
                return;
        const GArray *events = g_ptr_array_index(model->log, model->completed);
        if (model->started == model->completed) {
                model->started++;
                model->read_event = 0;
        } else if (model->read_event < events->len) {
                const RowEvent *event = &g_array_index(events, RowEvent, model->read_event++);
                if (chunk_map_collecting(model->chunks)) {
                        if (event->before >= 0)
                                collect(model, event->before, 0);
                        if (event->after >= 0)
                                collect(model, event->after, event->value);
                }
        } else
                model->completed++;
}

/* --- a copier --- */

static bool key_within(const Model *model, const char *key, const Key *lo, const Key *hi) {
        return (!lo->data || key_compare(model->schema, key, lo->data) > 0) &&
               (!hi->data || key_compare(model->schema, key, hi->data) <= 0);
}

static int compare_rows(gconstpointer a, gconstpointer b, gpointer data) {
        const Model *model = data;
        const BufferedRow *x = a, *y = b;
        const GString *text = model->copiers[0].rows.text;
        return key_compare(model->schema, text->str + x->key, text->str + y->key);
}

/* SELECT of (LO, HI], by key. */
static void select_rows(Model *model, RowBuffer *buffer, const Key *lo, const Key *hi, const State *state) {
        row_buffer_reset(buffer);
        for (int key = 0; key < KEYS; key++) {
                g_autoptr(GString) text = g_string_new(NULL);
                append_key(model, text, key);
                if (!state->value[key] || !key_within(model, text->str, lo, hi))
                        continue;
                BufferedRow row = {.tuple = buffer->text->len};
                g_string_append_printf(buffer->text, "(%d,%d)", key, state->value[key]);
                row.tuple_size = (guint32) (buffer->text->len - row.tuple);
                row.key = buffer->text->len;
                g_string_append_len(buffer->text, text->str, (gssize) text->len);
                row.key_size = (guint32) text->len;
                g_array_append_val(buffer->rows, row);
                buffer->total_rows++;
                buffer->total_bytes += row.tuple_size;
        }
        GString *own = model->copiers[0].rows.text; /* compare_rows() looks there */
        model->copiers[0].rows.text = buffer->text;
        g_array_sort_with_data(buffer->rows, compare_rows, model);
        model->copiers[0].rows.text = own;
}

static void begin_chunk(Model *model, ModelCopier *copier) {
        bool complete;
        Key lo = {0}, limit = {0};
        if (!chunk_map_claim_hole(model->chunks, &lo, &limit, &complete))
                return;
        copier->lo = lo;
        copier->hi = limit;
        /* The probe: any row within the hole as the upper bound. */
        RowBuffer probe;
        row_buffer_init(&probe);
        select_rows(model, &probe, &lo, &limit, &g_array_index(model->states, State, model->log->len));
        if (!model->whole_table && probe.rows->len > 0 && below(model, 4) > 0) {
                const BufferedRow *row = &g_array_index(probe.rows, BufferedRow, (guint) below(model, (int) MIN(probe.rows->len, 5)));
                Key hi = {.data = probe.text->str + row->key, .size = row->key_size};
                key_clear(&copier->hi);
                copier->hi = key_copy(&hi);
        }
        row_buffer_clear(&probe);
        copier->registered = model->started;
        if (model->mutant != MUTANT_LATE_REGISTER)
                copier->chunk = chunk_map_register(model->chunks, &copier->lo, &copier->hi, copier->registered);
        if (model->whole_table)
                model->locked = true;
        copier->step = STEP_WATERMARK;
}

static void end_chunk(Model *model, ModelCopier *copier) {
        key_clear(&copier->lo);
        key_clear(&copier->hi);
        g_clear_pointer(&copier->side, g_ptr_array_unref);
        copier->chunk = NULL;
        copier->step = STEP_IDLE;
        if (model->whole_table)
                model->locked = false;
}

static void read_chunk(Model *model, ModelCopier *copier) {
        guint at = model->whole_table ? model->log->len : (guint) g_rand_int_range(model->rand, (gint) model->visible, (gint) model->log->len + 1);
        model->visible = MAX(model->visible, at);
        if (model->mutant == MUTANT_EARLY_H)
                copier->h_position = model->log->len > 2 ? model->log->len - 2 : 0;
        if (!copier->chunk)
                copier->chunk = chunk_map_register(model->chunks, &copier->lo, &copier->hi, copier->registered);
        select_rows(model, &copier->rows, &copier->chunk->lo, &copier->chunk->hi, &g_array_index(model->states, State, at));
        if (!model->whole_table && copier->rows.rows->len > 1 && below(model, 4) == 0) { /* too large: shortened */
                g_array_set_size(copier->rows.rows, (guint) below(model, (int) copier->rows.rows->len - 1) + 1);
                const BufferedRow *last = &g_array_index(copier->rows.rows, BufferedRow, copier->rows.rows->len - 1);
                Key hi = {.data = copier->rows.text->str + last->key, .size = last->key_size};
                chunk_map_shrink(model->chunks, copier->chunk, &hi);
                copier->rows.total_rows = copier->rows.rows->len;
        }
}

static void overlay(Model *model, ModelCopier *copier) {
        const Key infinite = {NULL, 0}, *hi = model->mutant == MUTANT_OVERLAY_ALL_KEYS ? &infinite : &copier->chunk->hi;
        if (model->mutant != MUTANT_NO_OVERLAY)
                row_buffer_overlay(&copier->rows, model->schema, hi, copier->side);
        if (copier->rows.total_rows != copier->rows.rows->len)
                fail(model, "the rows were miscounted", 0);
}

/* Up to where everything that was sent to the workers is in the destination. */
static guint64 live_at(const Model *model) {
        guint64 low = G_MAXUINT64;
        for (guint w = 0; w < WORKERS; w++)
                low = MIN(low, model->applied[w]);
        return low;
}

/* Some rows of the chunk, with the last of them its row in the ledger. Only a whole table needs several transactions. */
static void write_chunk(Model *model, ModelCopier *copier) {
        if (model->unique && !model->whole_table && live_at(model) < copier->h_seq && model->mutant != MUTANT_NO_LIVE_WAIT)
                return;
        if (model->whole_table && copier->written == 0)
                model->rows = (State){0}; /* TRUNCATE */
        guint left = copier->rows.rows->len - copier->written;
        guint n = model->whole_table && left > 0 ? (guint) below(model, (int) left) + 1 : left;
        for (guint i = 0; i < n; i++) {
                const BufferedRow *row = &g_array_index(copier->rows.rows, BufferedRow, copier->written++);
                g_autofree char *tuple = g_strndup(copier->rows.text->str + row->tuple, row->tuple_size);
                char *p = tuple + 1;
                int key = (int) g_ascii_strtoll(p, &p, 10), value = (int) g_ascii_strtoll(p + 1, NULL, 10);
                if (model->rows.value[key])
                        fail(model, "a chunk meets a row", key);
                put_row(model, key, value, "a chunk meets a row with a value of its own");
        }
        if (copier->written < copier->rows.rows->len)
                return;
        DoneChunk done = {key_copy(&copier->chunk->lo), key_copy(&copier->chunk->hi), copier->h_seq};
        g_array_append_val(model->done, done);
        copier->step = STEP_FINISH;
}

static void step_copier(Model *model, ModelCopier *copier) {
        bool early = copier->step > STEP_IDLE && copier->step < STEP_WRITE;
        if (early && copier->chunk && below(model, 60) == 0) { /* a connection breaks, a duplicate is met … */
                chunk_map_cancel(model->chunks, copier->chunk);
                end_chunk(model, copier);
                return;
        }
        switch (copier->step) {
        case STEP_IDLE:
                begin_chunk(model, copier);
                return;
        case STEP_WATERMARK:
                if (!model->whole_table)
                        write_watermark(model);
                break;
        case STEP_SELECT:
                read_chunk(model, copier);
                break;
        case STEP_POSITION:
                if (model->mutant != MUTANT_EARLY_H)
                        copier->h_position = model->log->len;
                break;
        case STEP_READER:
                if (model->completed < copier->h_position)
                        return;
                copier->h_seq = model->completed;
                break;
        case STEP_CLOSE:
                if (!model->whole_table) {
                        guint64 until = model->mutant == MUTANT_OVERLAY_BEYOND_H ? G_MAXUINT64 : copier->h_seq;
                        copier->side = chunk_map_close_side(model->chunks, copier->chunk, until, /* locked= */ false);
                        if (!copier->side) {
                                chunk_map_cancel(model->chunks, copier->chunk);
                                end_chunk(model, copier);
                                return;
                        }
                        overlay(model, copier);
                }
                model->locked = false;
                copier->written = 0;
                break;
        case STEP_WRITE:
                write_chunk(model, copier);
                return;
        case STEP_FINISH:
                chunk_map_finish(model->chunks, copier->chunk, copier->h_seq);
                end_chunk(model, copier);
                return;
        }
        copier->step++;
}

/* --- the dispatcher: flush_worker(), add_change(), dispatch_image() of apply.c --- */

static void packet_drop(ModelPacket *packet) {
        if (packet)
                g_array_unref(packet->changes);
        g_free(packet);
}

static ModelPacket *packet_make(void) {
        ModelPacket *packet = g_new0(ModelPacket, 1);
        packet->changes = g_array_new(FALSE, FALSE, sizeof(ModelChange));
        return packet;
}

static void flush_worker(Model *model, guint w) {
        if (!model->pending[w] && model->sent[w] >= model->seq)
                return;
        ModelPacket *packet = model->pending[w] ? g_steal_pointer(&model->pending[w]) : packet_make();
        packet->done_seq = MAX(model->seq, model->resume_seq[w]);
        packet->part = model->seq < model->resume_seq[w] ? model->resume_part[w] : model->part[w];
        model->sent[w] = packet->done_seq;
        if (packet->changes->len == 0 && model->seq <= model->resume_seq[w])
                packet_drop(packet);
        else
                g_queue_push_tail(&model->queues[w], packet);
}

static void add_change(Model *model, RowOperation operation, int key, int value, const GString *text) {
        guint w = model->unique && model->mutant != MUTANT_UNORDERED ? 0 : (guint) (key_hash(text->str, text->len) % WORKERS);
        guint64 seq = model->seq + 1;
        model->part[w]++;
        if (seq <= model->resume_seq[w] || (seq == model->resume_seq[w] + 1 && model->part[w] <= model->resume_part[w]))
                return;
        if (!model->pending[w])
                model->pending[w] = packet_make();
        ModelChange change = {operation, key, value};
        g_array_append_val(model->pending[w]->changes, change);
        if (below(model, 5) == 0)
                flush_worker(model, w);
}

static ChunkVerdict judge(Model *model, const char *key, guint64 seq) {
        if (model->mutant == MUTANT_DROP_BEYOND_H)
                seq--;
        if (model->mutant == MUTANT_APPLY_AT_H)
                seq++;
        ChunkVerdict verdict = chunk_map_judge(model->chunks, key, seq);
        if (verdict == CHUNK_VERDICT_WAIT && model->mutant == MUTANT_WAIT_APPLIES)
                return CHUNK_VERDICT_APPLY;
        if (verdict == CHUNK_VERDICT_WAIT && model->mutant == MUTANT_WAIT_DROPS)
                return CHUNK_VERDICT_DROP;
        if (verdict == CHUNK_VERDICT_DROP && model->mutant == MUTANT_HOLE_APPLIES &&
            chunk_map_judge(model->chunks, key, G_MAXUINT64) == CHUNK_VERDICT_DROP)
                return CHUNK_VERDICT_APPLY;
        return verdict;
}

/* false: it has to wait. */
static bool dispatch_image(Model *model, RowOperation operation, int key, int value) {
        g_autoptr(GString) text = g_string_new(NULL);
        append_key(model, text, key);
        if (!model->live) {
                ChunkVerdict verdict = judge(model, text->str, model->seq + 1);
                if (verdict == CHUNK_VERDICT_DROP)
                        return true;
                if (verdict == CHUNK_VERDICT_WAIT) {
                        for (guint w = 0; w < WORKERS; w++)
                                flush_worker(model, w);
                        return false;
                }
        }
        add_change(model, operation, key, value, text);
        return true;
}

static void step_dispatcher(Model *model) {
        if (model->seq >= model->completed) /* nothing more in the relay log */
                return;
        const GArray *events = g_ptr_array_index(model->log, model->seq);
        if (model->event == events->len) {
                guint64 max_h;
                model->seq++;
                model->event = 0;
                memset(model->part, 0, sizeof model->part);
                if (below(model, 3) == 0 && chunk_map_complete(model->chunks, &max_h) && model->seq >= max_h)
                        model->live = true;
                return;
        }
        const RowEvent *event = &g_array_index(events, RowEvent, model->event);
        bool done = true;
        if (event->before < 0)
                done = dispatch_image(model, ROW_OPERATION_INSERT, event->after, event->value);
        else if (event->after < 0)
                done = dispatch_image(model, ROW_OPERATION_DELETE, event->before, 0);
        else if (event->before == event->after)
                done = dispatch_image(model, ROW_OPERATION_UPDATE, event->after, event->value);
        else {
                if (model->image == 0 && dispatch_image(model, ROW_OPERATION_DELETE, event->before, 0))
                        model->image = 1;
                done = model->image == 1 && dispatch_image(model, ROW_OPERATION_INSERT, event->after, event->value);
        }
        if (done) {
                model->event++;
                model->image = 0;
        }
}

static void step_worker(Model *model, guint w) {
        ModelPacket *packet = g_queue_pop_head(&model->queues[w]);
        if (!packet)
                return;
        for (guint i = 0; i < packet->changes->len; i++) {
                const ModelChange *change = &g_array_index(packet->changes, ModelChange, i);
                bool there = model->rows.value[change->key] != 0;
                if (there != (change->operation != ROW_OPERATION_INSERT))
                        fail(model, there ? "an INSERT meets a row" : "a changed row is missing", change->key);
                put_row(model, change->key, change->value, "a change meets a row with its value");
        }
        model->applied[w] = packet->done_seq;
        if (packet->changes->len > 0 || below(model, 2) == 0) { /* an idle worker's checkpoint may lag */
                model->checkpoint_seq[w] = packet->done_seq;
                model->checkpoint_part[w] = packet->part;
        }
        packet_drop(packet);
}

/* --- start, crash, end --- */

static void forget(Model *model) {
        for (guint c = 0; c < COPIERS; c++)
                end_chunk(model, &model->copiers[c]);
        for (guint w = 0; w < WORKERS; w++) {
                packet_drop(g_steal_pointer(&model->pending[w]));
                while (!g_queue_is_empty(&model->queues[w]))
                        packet_drop(g_queue_pop_head(&model->queues[w]));
        }
        g_clear_pointer(&model->chunks, chunk_map_free);
}

/* As after a start of the agent: only the destination is known. */
static void resume(Model *model) {
        guint64 low = G_MAXUINT64, max_h = 0;
        for (guint w = 0; w < WORKERS; w++) {
                low = MIN(low, model->checkpoint_seq[w]);
                model->resume_seq[w] = model->sent[w] = model->applied[w] = model->checkpoint_seq[w];
                model->resume_part[w] = model->mutant == MUTANT_FORGET_PART ? 0 : model->checkpoint_part[w];
        }
        memset(model->part, 0, sizeof model->part);
        model->seq = model->started = model->completed = low;
        model->event = model->image = model->read_event = 0;
        model->live = false;
        model->chunks = chunk_map_new(model->schema, false);
        for (guint i = 0; i < model->done->len; i++)
                max_h = MAX(max_h, g_array_index(model->done, DoneChunk, i).h_seq);
        for (guint i = 0; i < model->done->len; i++) {
                const DoneChunk *done = &g_array_index(model->done, DoneChunk, i);
                chunk_map_load(model->chunks, &done->lo, &done->hi, model->mutant == MUTANT_ONE_H ? max_h : done->h_seq);
        }
}

static void done_chunk_clear(gpointer data) {
        DoneChunk *done = data;
        key_clear(&done->lo);
        key_clear(&done->hi);
}

static void model_init(Model *model, guint32 seed, Mutant mutant) {
        *model = (Model){.rand = g_rand_new_with_seed(seed), .mutant = mutant};
        bool composite = below(model, 2) == 0;
        model->schema = fixture_table("column a integer 0 0 0 0 0 0 0 4 - int(11)\n"
                                      "column b text 0 0 0 0 0 0 0 0 latin1_bin varchar(9)",
                                      composite ? "a,b" : "a");
        model->whole_table = below(model, 6) == 0;
        model->schema->key_order = model->whole_table ? KEY_ORDER_SERVER : KEY_ORDER_AGENT;
        model->unique = below(model, 3) == 0;
        model->side_max = below(model, 4) == 0 ? 60 : 1 << 20;
        model->to_write = (guint) below(model, 150);
        model->log = g_ptr_array_new_with_free_func((GDestroyNotify) g_array_unref);
        model->states = g_array_new(FALSE, FALSE, sizeof(State));
        model->done = g_array_new(FALSE, FALSE, sizeof(DoneChunk));
        g_array_set_clear_func(model->done, done_chunk_clear);
        State state = {0};
        for (int key = 0; key < KEYS; key++)
                state.value[key] = below(model, 3) ? new_value(model, &state) : 0;
        g_array_append_val(model->states, state);
        for (guint c = 0; c < COPIERS; c++)
                row_buffer_init(&model->copiers[c].rows);
        for (guint w = 0; w < WORKERS; w++)
                g_queue_init(&model->queues[w]);
        resume(model);
}

static char *model_end(Model *model) {
        forget(model);
        for (guint c = 0; c < COPIERS; c++)
                row_buffer_clear(&model->copiers[c].rows);
        g_array_unref(model->done);
        g_array_unref(model->states);
        g_ptr_array_unref(model->log);
        fixture_table_free(model->schema);
        g_rand_free(model->rand);
        return model->error;
}

static bool model_done(Model *model) {
        guint64 max_h;
        if (model->to_write > 0 || model->seq < model->log->len || !chunk_map_complete(model->chunks, &max_h))
                return false;
        for (guint w = 0; w < WORKERS; w++)
                if (model->pending[w] || !g_queue_is_empty(&model->queues[w]))
                        return false;
        for (guint c = 0; c < COPIERS; c++)
                if (model->copiers[c].step != STEP_IDLE)
                        return false;
        return true;
}

static void step(Model *model, const int *weights) {
        int what = below(model, weights[0] + weights[1] + weights[2] + weights[3] + weights[4] + 1);
        if ((what -= weights[0]) < 0) {
                if (model->to_write > 0 && !model->locked) {
                        model->to_write--;
                        write_transaction(model);
                }
        } else if ((what -= weights[1]) < 0)
                step_reader(model);
        else if ((what -= weights[2]) < 0)
                step_copier(model, &model->copiers[below(model, COPIERS)]);
        else if ((what -= weights[3]) < 0)
                step_dispatcher(model);
        else if ((what -= weights[4]) < 0)
                step_worker(model, (guint) below(model, WORKERS));
        else if (below(model, 8) == 0) {
                if (below(model, 12) == 0) {
                        forget(model);
                        resume(model);
                }
        } else
                flush_worker(model, (guint) below(model, WORKERS));
}

/* NULL when all is well; else what went wrong. */
static char *model_run(guint32 seed, Mutant mutant) {
        Model model;
        int weights[5];
        model_init(&model, seed, mutant);
        for (guint i = 0; i < G_N_ELEMENTS(weights); i++) /* who is quick and who is slow */
                weights[i] = 1 + below(&model, 12);
        guint steps = 0;
        while (!model.error && !model_done(&model) && steps++ < MAX_STEPS)
                step(&model, weights);
        if (steps >= MAX_STEPS)
                fail(&model, "it does not come to an end", 0);
        const State *source = &g_array_index(model.states, State, model.log->len);
        for (int key = 0; key < KEYS; key++)
                if (source->value[key] != model.rows.value[key])
                        fail(&model, "source and destination differ", key);
        return model_end(&model);
}

static void test_model(void) {
        for (guint32 seed = 1; seed <= SEEDS; seed++) {
                g_autofree char *error = model_run(seed, MUTANT_NONE);
                if (error)
                        g_error("seed %u: %s", seed, error);
        }
}

static void test_mutants(void) {
        for (int mutant = MUTANT_NONE + 1; mutant < _MUTANT_MAX; mutant++) {
                bool seen = false;
                for (guint32 seed = 1; seed <= SEEDS && !seen; seed++) {
                        g_autofree char *error = model_run(seed, (Mutant) mutant);
                        seen = error != NULL;
                        if (seen)
                                g_test_message("mutant %d: seed %u: %s", mutant, seed, error);
                }
                if (!seen)
                        g_error("mutant %d was not seen", mutant);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/model/equal", test_model);
        g_test_add_func("/model/mutants", test_mutants);
        return g_test_run();
}
