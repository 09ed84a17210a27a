/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fence-record.h. */

#include "engine/fence-record.h"

#include <string.h>

#include "mysql/sql.h"

#define NO_SUCH_DATABASE 1049
#define NO_SUCH_TABLE 1146

static const char *const fence_item_kind_table[_FENCE_ITEM_MAX] = {
        [FENCE_ITEM_MARK] = "mark",
        [FENCE_ITEM_ACCOUNT] = "account",
        [FENCE_ITEM_EVENT] = "event",
};
ENUM_TABLE_DEFINE(fence_item_kind, FenceItemKind, fence_item_kind_table);

FenceItem *fence_item_new(FenceItemKind kind, const char *first, const char *second, const char *secret) {
        FenceItem *item = g_new0(FenceItem, 1);
        *item = (FenceItem){.kind = kind, .first = g_strdup(first), .second = g_strdup(second), .secret = g_strdup(secret ? secret : "")};
        return item;
}

void fence_item_free(FenceItem *item) {
        if (!item)
                return;
        explicit_bzero(item->secret, strlen(item->secret));
        g_free(item->secret);
        g_free(item->first);
        g_free(item->second);
        g_free(item);
}

static GPtrArray *list_new(void) {
        return g_ptr_array_new_with_free_func((GDestroyNotify) fence_item_free);
}

/* --- on the server --- */

bool fence_record_load(const Ledger *ledger, Conn *conn, GPtrArray **ret, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autoptr(ConnRows) rows = conn_queryf(conn, &local, "SELECT kind, first, second, secret FROM %s", ledger->fence);
        g_autoptr(GPtrArray) items = list_new();
        *ret = NULL;
        if (!rows) {
                if (g_error_matches(local, MYSQL_ERROR, NO_SUCH_TABLE) || g_error_matches(local, MYSQL_ERROR, NO_SUCH_DATABASE))
                        return true;
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        for (char **row; (row = conn_rows_take(rows));) {
                FenceItemKind kind = row[0] ? fence_item_kind_from_string(row[0]) : _FENCE_ITEM_INVALID;
                if (kind != _FENCE_ITEM_INVALID)
                        g_ptr_array_add(items, fence_item_new(kind, row[1] ? row[1] : "", row[2] ? row[2] : "", row[3]));
        }
        *ret = g_steal_pointer(&items);
        return true;
}

bool fence_record_add(const Ledger *ledger, Conn *conn, const GPtrArray *items, GError **error) {
        GString *sql = g_string_new(NULL);
        g_string_printf(sql, "INSERT INTO %s (kind, first, second, secret) VALUES ", ledger->fence);
        for (guint i = 0; i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                const char *const values[] = {fence_item_kind_to_string(item->kind), item->first, item->second, item->secret};
                for (gsize j = 0; j < G_N_ELEMENTS(values); j++) {
                        g_string_append(sql, j > 0 ? ", " : i > 0 ? ", (" : "(");
                        sql_append_string(sql, values[j], strlen(values[j]));
                }
                g_string_append_c(sql, ')');
        }
        g_string_append(sql, " ON DUPLICATE KEY UPDATE kind=kind");
        bool good = items->len == 0 || conn_exec(conn, sql->str, (gssize) sql->len, NULL, error);
        explicit_bzero(sql->str, sql->allocated_len);
        g_string_free(sql, TRUE);
        return good;
}

bool fence_record_clear(const Ledger *ledger, Conn *conn, GError **error) {
        g_autoptr(GError) local = NULL;
        if (conn_execf(conn, &local, "DELETE FROM %s", ledger->fence) || g_error_matches(local, MYSQL_ERROR, NO_SUCH_TABLE) ||
            g_error_matches(local, MYSQL_ERROR, NO_SUCH_DATABASE))
                return true;
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

const FenceItem *fence_record_find(const GPtrArray *items, FenceItemKind kind, const char *first, const char *second) {
        for (guint i = 0; items && i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                if (item->kind == kind && strcmp(item->first, first) == 0 && strcmp(item->second, second) == 0)
                        return item;
        }
        return NULL;
}

/* --- as text: one line each, its members escaped as in C and parted by tabs --- */

char *fence_record_to_text(const GPtrArray *items) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (guint i = 0; items && i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                g_autofree char *first = g_strescape(item->first, NULL), *second = g_strescape(item->second, NULL);
                g_string_append_printf(text, "%s\t%s\t%s\n", fence_item_kind_to_string(item->kind), first, second);
        }
        return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

GPtrArray *fence_record_from_text(const char *text) {
        GPtrArray *items = list_new();
        g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
        for (char **line = lines; *line; line++) {
                g_auto(GStrv) parts = g_strsplit(*line, "\t", -1);
                FenceItemKind kind = g_strv_length(parts) == 3 ? fence_item_kind_from_string(parts[0]) : _FENCE_ITEM_INVALID;
                if (kind == _FENCE_ITEM_INVALID)
                        continue;
                g_autofree char *first = g_strcompress(parts[1]), *second = g_strcompress(parts[2]);
                g_ptr_array_add(items, fence_item_new(kind, first, second, NULL));
        }
        return items;
}
