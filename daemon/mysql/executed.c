/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See executed.h. */

#include "mysql/executed.h"

struct Executed {
        bool mariadb, known;
        GtidSet *set;  /* MySQL */
        GArray *list;  /* MariaDB: of MariadbGtid, one per domain, by domain */
};

static gint by_domain(gconstpointer a, gconstpointer b) {
        guint32 x = ((const MariadbGtid *) a)->domain_id, y = ((const MariadbGtid *) b)->domain_id;
        return x < y ? -1 : x > y;
}

Executed *executed_new(const char *text, bool mariadb) {
        Executed *executed = g_new0(Executed, 1);
        executed->mariadb = mariadb;
        if (mariadb) {
                executed->list = text ? mariadb_gtid_parse(text, NULL) : NULL;
                if (executed->list)
                        g_array_sort(executed->list, by_domain);
        } else
                executed->set = text ? gtid_set_parse(text, NULL) : NULL;
        executed->known = executed->set || executed->list;
        return executed;
}

void executed_free(Executed *executed) {
        if (!executed)
                return;
        gtid_set_free(executed->set);
        g_clear_pointer(&executed->list, g_array_unref);
        g_free(executed);
}

static void add_mariadb(Executed *executed, const BinlogGtid *gtid) {
        MariadbGtid next = {gtid->domain_id, gtid->server_id, gtid->gno};
        guint at = 0;
        while (at < executed->list->len && g_array_index(executed->list, MariadbGtid, at).domain_id < next.domain_id)
                at++;
        if (at < executed->list->len && g_array_index(executed->list, MariadbGtid, at).domain_id == next.domain_id)
                g_array_index(executed->list, MariadbGtid, at) = next;
        else
                g_array_insert_val(executed->list, at, next);
}

void executed_add(Executed *executed, const BinlogGtid *gtid) {
        if (!executed->known)
                return;
        if (gtid->gno == 0 || gtid->mariadb != executed->mariadb)
                executed->known = false;
        else if (executed->mariadb)
                add_mariadb(executed, gtid);
        else
                gtid_set_add_tagged(executed->set, gtid->sid, gtid->tag, gtid->gno, gtid->gno);
}

bool executed_known(const Executed *executed) {
        return executed->known;
}

bool executed_is_mariadb(const Executed *executed) {
        return executed->mariadb;
}

char *executed_to_string(const Executed *executed) {
        if (!executed->known)
                return NULL;
        return executed->mariadb ? mariadb_gtid_to_string(executed->list) : gtid_set_to_string(executed->set);
}

bool executed_contains(const Executed *set, const Executed *subset) {
        if (!set->known || !subset->known || set->mariadb != subset->mariadb)
                return false;
        if (!set->mariadb)
                return gtid_set_contains(set->set, subset->set);
        for (guint i = 0; i < subset->list->len; i++) {
                const MariadbGtid *wanted = &g_array_index(subset->list, MariadbGtid, i);
                bool there = false;
                for (guint j = 0; j < set->list->len && !there; j++) {
                        const MariadbGtid *had = &g_array_index(set->list, MariadbGtid, j);
                        there = had->domain_id == wanted->domain_id && had->sequence >= wanted->sequence;
                }
                if (!there)
                        return false;
        }
        return true;
}

bool executed_equal(const Executed *a, const Executed *b) {
        if (!a->known || !b->known || a->mariadb != b->mariadb)
                return false;
        if (!a->mariadb)
                return gtid_set_equal(a->set, b->set);
        if (a->list->len != b->list->len)
                return false;
        for (guint i = 0; i < a->list->len; i++) {
                const MariadbGtid *x = &g_array_index(a->list, MariadbGtid, i), *y = &g_array_index(b->list, MariadbGtid, i);
                if (x->domain_id != y->domain_id || x->server_id != y->server_id || x->sequence != y->sequence)
                        return false;
        }
        return true;
}

char *executed_missing(const Executed *a, const Executed *b) {
        if (!a->known || !b->known || a->mariadb || b->mariadb)
                return executed_to_string(a);
        g_autoptr(GtidSet) left = gtid_set_subtract(a->set, b->set);
        return gtid_set_to_string(left);
}

char *executed_gtid_to_string(const BinlogGtid *gtid) {
        if (gtid->gno == 0)
                return NULL;
        if (gtid->mariadb)
                return g_strdup_printf("%u-%u-%" G_GUINT64_FORMAT, gtid->domain_id, gtid->server_id, gtid->gno);
        g_autoptr(GtidSet) set = gtid_set_new();
        gtid_set_add_tagged(set, gtid->sid, gtid->tag, gtid->gno, gtid->gno);
        return gtid_set_to_string(set);
}

bool executed_remove(Executed *executed, const char *text) {
        g_autoptr(GtidSet) one = executed->known && !executed->mariadb ? gtid_set_parse(text, NULL) : NULL;
        if (!one || !gtid_set_contains(executed->set, one))
                return false;
        GtidSet *left = gtid_set_subtract(executed->set, one);
        gtid_set_free(executed->set);
        executed->set = left;
        return true;
}

GByteArray *executed_encode(const Executed *executed) {
        return executed->known && !executed->mariadb ? gtid_set_encode(executed->set) : NULL;
}
