/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See link.h. */

#include "engine/link.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/again.h"
#include "engine/apply.h"
#include "engine/cascade.h"
#include "engine/copy.h"
#include "engine/link-keys.h"
#include "engine/relay.h"
#include "engine/stream.h"
#include "mysql/schema.h"
#include "mysql/sql.h"

#define HEARTBEAT_LOST (5 * USEC_PER_SEC)
#define MAX_HEARTBEATS 100000

typedef struct Heartbeat {
        guint64 seq, value; /* value: µs since the epoch, when it was written */
} Heartbeat;

struct Link {
        LinkConfig config;
        LinkTables *tables;
        GArray *checkpoints;
        guint64 skip_seq, halt_seq, settled_seq; /* see StreamConfig */
        guint32 workers, copiers;
        bool from_mariadb;
        char *server; /* the upstream's conn_host_uuid() */
        Place *begin; /* where reading begins, behind transaction … */
        guint64 begin_seq;
        gint64 began; /* monotonic; no two links of an engine have the same */
        Relay *relay;
        Stream *stream;
        Apply *apply;
        Copy *copy;
        guint64 rows_before, bytes_before; /* copied by earlier runs */
        guint64 rows_total, bytes_total;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        GError *error;
        LinkHalt *halt;
        bool all_copied;     /* by the copiers */
        bool copied;         /* and overtaken by the appliers */
        GQueue heartbeats;   /* of Heartbeat, read and not yet applied */
        guint64 last_value;  /* newest applied */
        double last_delay;
        guint64 canary, canary_seq;
};

static void on_failure(gpointer userdata, const GError *error) {
        Link *link = userdata;
        pthread_mutex_lock(&link->lock);
        /* PS_ERROR_STOPPED is only the echo of another part's failure. */
        if (!link->error || g_error_matches(link->error, PS_ERROR, PS_ERROR_STOPPED)) {
                g_clear_error(&link->error);
                link->error = g_error_copy(error);
        }
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
        link->config.on_change(link->config.userdata);
}

/* --- what the stream sees --- */

static void on_halt(gpointer userdata, const LinkHalt *halt) {
        Link *link = userdata;
        pthread_mutex_lock(&link->lock);
        link->halt = link_halt_copy(halt);
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
        link->config.on_change(link->config.userdata);
}

static void on_heartbeat(gpointer userdata, guint64 seq, guint64 value) {
        Link *link = userdata;
        Heartbeat *heartbeat = g_new(Heartbeat, 1);
        *heartbeat = (Heartbeat){seq, value};
        pthread_mutex_lock(&link->lock);
        g_queue_push_tail(&link->heartbeats, heartbeat);
        if (g_queue_get_length(&link->heartbeats) > MAX_HEARTBEATS) /* a day behind: the oldest one tells the delay */
                g_free(g_queue_pop_nth(&link->heartbeats, 1));
        pthread_mutex_unlock(&link->lock);
}

static void on_canary(gpointer userdata, guint64 seq, guint64 value) {
        Link *link = userdata;
        pthread_mutex_lock(&link->lock);
        link->canary = value;
        link->canary_seq = seq;
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
}

static void on_crash(gpointer userdata, const char *file) {
        Link *link = userdata;
        link->config.on_crash(link->config.userdata, file);
}

static void on_stream_note(gpointer userdata, const char *message) {
        Link *link = userdata;
        link->config.on_note(link->config.userdata, message);
}

/* --- what the appliers report --- */

static void on_progress(gpointer userdata) {
        Link *link = userdata;
        guint64 low = apply_low_water(link->apply), now = clock_real();
        bool news = false, live = apply_all_live(link->apply);

        pthread_mutex_lock(&link->lock);
        for (;;) {
                Heartbeat *oldest = g_queue_peek_head(&link->heartbeats);
                if (!oldest || oldest->seq > low)
                        break;
                link->last_value = oldest->value;
                link->last_delay = now > oldest->value ? (double) (now - oldest->value) / USEC_PER_SEC : 0;
                g_free(g_queue_pop_head(&link->heartbeats));
        }
        if (link->all_copied && !link->copied && live)
                link->copied = news = true;
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
        if (news)
                link->config.on_change(link->config.userdata);
}

static void on_copy_table(gpointer userdata, const LinkTable *table) {
        Link *link = userdata;
        link->config.on_table(link->config.userdata, table->schema->database, table->schema->name);
}

static void on_copy_burst(gpointer userdata, const LinkTable *table) {
        Link *link = userdata;
        link->config.on_burst(link->config.userdata, table->schema->database, table->schema->name);
}

static void on_copy_done(gpointer userdata) {
        Link *link = userdata;
        pthread_mutex_lock(&link->lock);
        link->all_copied = true;
        pthread_mutex_unlock(&link->lock);
        link->config.on_change(link->config.userdata);
}

/* --- start --- */

static TableSchema *find_schema(const GPtrArray *schemas, const TableSchema *like) {
        guint low = 0, high = schemas->len;
        while (low < high) { /* ordered by database and name */
                guint mid = low + (high - low) / 2;
                TableSchema *schema = g_ptr_array_index(schemas, mid);
                int order = strcmp(schema->database, like->database);
                if (order == 0)
                        order = strcmp(schema->name, like->name);
                if (order == 0)
                        return schema;
                if (order < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

/* Whether tables are copied: all of them, or some again. */
static bool copies(const Link *link) {
        return (link->config.copying || link->config.again->len > 0) && link->halt_seq == 0;
}

static bool is_left_out(const LinkConfig *config, const char *database, const char *table) {
        g_autofree char *name = sql_table(database, table), *line = g_strdup_printf("table %s: ", name);
        for (guint i = 0; config->left_out && i < config->left_out->len; i++)
                if (g_str_has_prefix(g_ptr_array_index(config->left_out, i), line))
                        return true;
        return false;
}

static bool could_be_carried(const LinkConfig *config, const char *database, const char *name) {
        return spec_selects(config->spec, database, name) && !is_left_out(config, database, name);
}

/* Keys to tables that would be carried if they were there: dropped, and perhaps made again by a statement further on, at which a new link
 * begins. Until then nothing cascades. */
static void mark_keys_to_nothing(const LinkConfig *config, const GPtrArray *schemas) {
        g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < schemas->len; i++) {
                const TableSchema *schema = g_ptr_array_index(schemas, i);
                g_hash_table_add(there, sql_table(schema->database, schema->name));
        }
        for (guint i = 0; i < schemas->len; i++) {
                const TableSchema *schema = g_ptr_array_index(schemas, i);
                for (guint k = 0; schema->foreign_keys && k < schema->foreign_keys->len; k++) {
                        ForeignKey *key = g_ptr_array_index(schema->foreign_keys, k);
                        g_autofree char *parent = sql_table(key->parent_database, key->parent);
                        key->away = could_be_carried(config, key->parent_database, key->parent) && !g_hash_table_contains(there, parent);
                }
        }
}

/* The downstream is the schema history: no statement that changes a table lies between its checkpoints, so what it has is what held at the
 * position where reading begins, however far the upstream has gone on since. Only sizes are asked of the upstream. */
static GPtrArray *load_schemas(Link *link, Conn *up, Conn *down, GError **error) {
        const LinkConfig *config = &link->config;
        g_autoptr(GPtrArray) all = schema_load(down, /* database= */ NULL, error);
        g_autoptr(GPtrArray) upstream = all && (config->copying || config->again->len > 0) ? schema_load(up, /* database= */ NULL, error) : NULL;
        if (!all || ((config->copying || config->again->len > 0) && !upstream))
                return NULL;
        GPtrArray *schemas = g_ptr_array_new_with_free_func((GDestroyNotify) table_schema_free);
        for (guint i = 0; i < all->len; i++) {
                TableSchema *schema = g_ptr_array_index(all, i);
                if (!could_be_carried(config, schema->database, schema->name))
                        continue;
                g_autofree char *name = sql_table(schema->database, schema->name);
                bool copied = !config->copying && again_seq(config->again, name) == 0;
                const TableSchema *sizes = upstream && !copied ? find_schema(upstream, schema) : NULL;
                if (sizes) {
                        link_keys_take_collations(schema, sizes);
                        schema->avg_row_bytes = sizes->avg_row_bytes;
                        link->rows_total += sizes->rows_estimate;
                        link->bytes_total += sizes->data_bytes;
                }
                g_ptr_array_add(schemas, schema);
                all->pdata[i] = NULL; /* handed over; table_schema_free() takes NULL */
        }
        mark_keys_to_nothing(config, schemas);
        return schemas;
}

static guint64 oldest_checkpoint(const Link *link) {
        guint64 seq = G_MAXUINT64;
        for (guint32 w = 0; w < link->workers; w++)
                seq = MIN(seq, g_array_index(link->checkpoints, Checkpoint, w).seq);
        return seq;
}

static bool load(Link *link, GError **error) {
        const LinkConfig *config = &link->config;
        g_autoptr(Conn) up = conn_open(config->upstream, 0, error);
        g_autoptr(Conn) down = up ? conn_open(config->downstream, 0, error) : NULL;
        if (!down)
                return false;

        g_autoptr(GPtrArray) schemas = load_schemas(link, up, down, error);
        if (!schemas)
                return false;
        /* A statement that was interrupted: what it did to the tables is not known yet, and nothing lies between here and it. */
        guint64 open;
        if (!ledger_read_intents(config->ledger, down, config->leg, &link->skip_seq, &open, error))
                return false;
        link->halt_seq = open > link->skip_seq ? open : 0;
        bool copying = config->copying && link->halt_seq == 0;
        link->checkpoints = ledger_load_checkpoints(config->ledger, down, config->leg, error);
        if (!link->checkpoints)
                return false;
        for (guint i = 0; i < link->checkpoints->len; i++) {
                guint32 number = g_array_index(link->checkpoints, Checkpoint, i).worker;
                link->workers += number == link->workers && number < LEDGER_COPIER_BASE;
                link->copiers += number == LEDGER_COPIER_BASE + link->copiers && number < LEDGER_REPAIR_SLOT;
        }
        if (link->workers == 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s has no checkpoint of this migration's leg %u: its tables in `" LEDGER_DATABASE
                            "` were removed, or it is not the server it was", conn_label(down), config->leg);
                return false;
        }
        link->copiers = MIN(link->copiers, config->copiers);
        link->from_mariadb = conn_flavor(up)->mariadb;
        link->server = g_strdup(conn_host_uuid(up));

        if (!link_keys_order(config, link->checkpoints, link->workers, schemas, up, down, error))
                return false;
        link->tables = link_tables_new(g_steal_pointer(&schemas), copying, link->halt_seq == 0 ? config->again : NULL);
        for (guint i = 0; i < link->tables->list->len; i++) {
                LinkTable *table = g_ptr_array_index(link->tables->list, i);
                table->zeros_alike = !flavor_has_negative_zero(conn_flavor(up)) || !flavor_has_negative_zero(conn_flavor(down));
        }
        return families_complete(link->tables, error) &&
               (!copies(link) || copy_load(config->ledger, down, link->tables, copying, oldest_checkpoint(link), &link->rows_before,
                                           &link->bytes_before, error));
}

static void begin_at(Link *link, guint64 seq, Place *place /* consumed */) {
        place_unref(link->begin);
        link->begin = place;
        link->begin_seq = seq;
}

/* Where reading begins: at the oldest checkpoint, or before it, where an XA transaction was prepared that is still open then. */
static void find_beginning(Link *link) {
        link->begin_seq = link->settled_seq = G_MAXUINT64;
        for (guint32 w = 0; w < link->workers; w++) {
                const Checkpoint *checkpoint = &g_array_index(link->checkpoints, Checkpoint, w);
                link->settled_seq = MIN(link->settled_seq, checkpoint->seq);
                if (checkpoint->seq < link->begin_seq)
                        begin_at(link, checkpoint->seq, place_ref(checkpoint->place));
                if (*checkpoint->hold_file && checkpoint->hold_seq < link->begin_seq)
                        begin_at(link, checkpoint->hold_seq, place_new(checkpoint->place->server, checkpoint->hold_file, 0, checkpoint->hold_offset, 0, NULL, NULL));
        }
}

static bool connect_parts(Link *link, GError **error) {
        const LinkConfig *config = &link->config;
        find_beginning(link);

        link->relay = relay_new(config->directory, error);
        if (!link->relay)
                return false;
        StreamConfig stream = {
                .upstream = config->upstream,
                .spec = config->spec,
                .ledger = config->ledger,
                .tables = link->tables,
                .left_out = config->left_out,
                .relay = link->relay,
                .directory = config->directory,
                .server_id = config->server_id,
                .server = link->server,
                .mariadb = link->from_mariadb,
                .rows = (const Checkpoint *) link->checkpoints->data,
                .n_rows = link->checkpoints->len,
                .begin = link->begin,
                .seq = link->begin_seq,
                .skip_ddl_seq = link->skip_seq,
                .settled_seq = link->settled_seq,
                .halt_seq = link->halt_seq,
                .on_heartbeat = on_heartbeat,
                .on_canary = on_canary,
                .on_failure = on_failure,
                .on_halt = on_halt,
                .on_note = on_stream_note,
                .on_crash = on_crash,
                .userdata = link,
        };
        link->stream = stream_new(&stream, error);
        if (!link->stream)
                return false;
        ApplyConfig apply = {
                .downstream = config->downstream,
                .ledger = config->ledger,
                .tables = link->tables,
                .relay = link->relay,
                .leg = config->leg,
                .epoch = config->epoch,
                .checkpoints = (const Checkpoint *) link->checkpoints->data,
                .workers = link->workers,
                .server = link->server,
                .mariadb = link->from_mariadb,
                .dirty = config->dirty,
                .place = link->begin,
                .seq = link->begin_seq,
                .on_progress = on_progress,
                .on_failure = on_failure,
                .userdata = link,
        };
        link->apply = apply_new(&apply, error);
        if (!link->apply)
                return false;
        if (!copies(link))
                return true;

        CopyConfig copy = {
                .upstream = config->upstream,
                .downstream = config->downstream,
                .ledger = config->ledger,
                .tables = link->tables,
                .stream = link->stream,
                .apply = link->apply,
                .throttle = config->throttle,
                .leg = config->leg,
                .epoch = config->epoch,
                .checkpoints = &g_array_index(link->checkpoints, Checkpoint, link->workers),
                .copiers = link->copiers,
                .on_table = on_copy_table,
                .on_burst = on_copy_burst,
                .on_done = on_copy_done,
                .on_failure = on_failure,
                .userdata = link,
        };
        link->copy = copy_new(&copy, error);
        return link->copy != NULL;
}

Link *link_start(const LinkConfig *config, GError **error) {
        g_autoptr(Link) link = g_new0(Link, 1);
        link->config = *config;
        link->began = clock_monotonic();
        link->last_delay = -1;
        link->copied = link->all_copied = !config->copying && config->again->len == 0;
        pthread_mutex_init(&link->lock, /* attr= */ NULL);
        clock_cond_init(&link->changed);
        g_queue_init(&link->heartbeats);
        if (!load(link, error) || !connect_parts(link, error))
                return NULL;
        apply_run(link->apply);
        stream_run(link->stream);
        if (link->copy)
                copy_run(link->copy);
        return g_steal_pointer(&link);
}

void link_stop(Link *link) {
        /* The stream first: whoever waits for it is told that it has ended. */
        if (link->stream)
                stream_stop(link->stream);
        if (link->copy)
                copy_stop(link->copy);
        if (link->apply)
                apply_stop(link->apply);
        pthread_mutex_lock(&link->lock);
        if (!link->error)
                link->error = g_error_new(PS_ERROR, PS_ERROR_STOPPED, "the link was stopped");
        pthread_cond_broadcast(&link->changed);
        pthread_mutex_unlock(&link->lock);
}

guint64 link_dispatched(const Link *link) {
        return apply_dispatched(link->apply);
}

guint64 link_begin(const Link *link) {
        return link->begin_seq;
}

void link_free(Link *link) {
        if (!link)
                return;
        link_stop(link);
        copy_free(link->copy);
        apply_free(link->apply);
        stream_free(link->stream);
        relay_free(link->relay);
        link_tables_free(link->tables);
        g_clear_pointer(&link->checkpoints, g_array_unref);
        place_unref(link->begin);
        g_free(link->server);
        g_queue_clear_full(&link->heartbeats, g_free);
        g_clear_error(&link->error);
        link_halt_free(link->halt);
        pthread_cond_destroy(&link->changed);
        pthread_mutex_destroy(&link->lock);
        g_free(link);
}

/* --- questions --- */

/* Under the lock. That other parts then stop is the echo of the reader's end; what fails beside is dealt with first. */
static bool halted(const Link *link) {
        return link->halt && (!link->error || g_error_matches(link->error, PS_ERROR, PS_ERROR_STOPPED));
}

GError *link_error(Link *link) {
        pthread_mutex_lock(&link->lock);
        GError *error = NULL;
        if (halted(link))
                g_set_error(&error, PS_ERROR, PS_ERROR_STOPPED, "%s is to be carried to the other side first", link->halt->what);
        else if (link->error)
                error = g_error_copy(link->error);
        pthread_mutex_unlock(&link->lock);
        return error;
}

LinkHalt *link_get_halt(Link *link) {
        pthread_mutex_lock(&link->lock);
        LinkHalt *halt = halted(link) ? link_halt_copy(link->halt) : NULL;
        pthread_mutex_unlock(&link->lock);
        return halt;
}

bool link_drained(Link *link, gint64 timeout_usec, guint64 *ret_low_water) {
        guint64 read = stream_completed(link->stream);
        *ret_low_water = apply_low_water(link->apply);
        return apply_settle(link->apply, read, timeout_usec);
}

void link_end(Link *link) {
        stream_end(link->stream);
}

bool link_copied(Link *link) {
        pthread_mutex_lock(&link->lock);
        bool copied = link->copied;
        pthread_mutex_unlock(&link->lock);
        return copied;
}

guint64 link_copied_seq(Link *link) {
        return apply_live_seq(link->apply);
}

bool link_wait_applied(Link *link, LinkTarget *target, gint64 timeout_usec, GError **error) {
        gint64 until = clock_monotonic() + timeout_usec;
        if (target->link != link->began) {
                if (!stream_wait(link->stream, target->file, target->offset, timeout_usec, &target->seq, /* ret_place= */ NULL, error))
                        return false;
                target->link = link->began;
        }
        return apply_wait(link->apply, target->seq, timeout_usec < 0 ? -1 : MAX(until - clock_monotonic(), 0), error);
}

int link_ask(Link *link) {
        return apply_ask(link->apply);
}

bool link_wait_answers(Link *link, int asked, gint64 timeout_usec, GError **error) {
        return apply_wait_answers(link->apply, asked, timeout_usec, error);
}

bool link_wait_canary(Link *link, guint64 value, gint64 timeout_usec, GError **error) {
        struct timespec until = clock_deadline(timeout_usec);
        gint64 end = clock_monotonic() + timeout_usec;
        bool timed_out = false;
        pthread_mutex_lock(&link->lock);
        while (link->canary != value && !link->error && !timed_out)
                timed_out = pthread_cond_timedwait(&link->changed, &link->lock, &until) != 0;
        bool seen = link->canary == value;
        guint64 seq = link->canary_seq;
        pthread_mutex_unlock(&link->lock);
        if (!seen) {
                g_set_error(error, PS_ERROR, PS_ERROR_REVERSE_NOT_PROVEN, "the canary did not come through the link");
                return false;
        }
        return apply_wait(link->apply, seq, MAX(end - clock_monotonic(), 0), error);
}

void link_pass_over_programs(Link *link, guint64 connection) {
        stream_pass_over_programs(link->stream, connection);
}

guint64 link_programs_changed(Link *link) {
        return stream_programs_changed(link->stream);
}

static double current_delay(Link *link) {
        guint64 now = clock_real();
        Heartbeat *oldest = g_queue_peek_head(&link->heartbeats);
        if (oldest)
                return MAX(now > oldest->value ? (double) (now - oldest->value) / USEC_PER_SEC : 0, 0);
        if (link->last_delay >= 0 && now - link->last_value < HEARTBEAT_LOST)
                return link->last_delay;
        return -1; /* no heartbeat arrives: unknown is not 0 */
}

void link_get_status(Link *link, LinkStatus *ret) {
        *ret = (LinkStatus){0};
        if (link->copy)
                copy_counters(link->copy, &ret->rows_copied, &ret->bytes_copied);
        apply_counters(link->apply, &ret->transactions, &ret->rows_applied);
        ret->rows_copied += link->rows_before;
        ret->bytes_copied += link->bytes_before;
        ret->rows_total = MAX(link->rows_total, ret->rows_copied);
        ret->bytes_total = MAX(link->bytes_total, ret->bytes_copied);
        ret->low_water = apply_low_water(link->apply);
        ret->read = stream_completed(link->stream);
        ret->backlog = relay_backlog(link->relay);
        pthread_mutex_lock(&link->lock);
        ret->delay = link->error ? -1 : current_delay(link);
        ret->copied = link->copied;
        pthread_mutex_unlock(&link->lock);
}
