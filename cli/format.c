/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Output: tables, sizes, times, JSON, errors, pager; see format.h. */

#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "value.h"

void format_append_safe(GString *out, const char *text) {
        g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);

        for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
                gunichar c = g_utf8_get_char(p);
                GUnicodeType type = g_unichar_type(c);

                if (type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT ||
                    type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR)
                        g_string_append_c(out, ' ');
                else
                        g_string_append_unichar(out, c);
        }
}

char *format_safe(const char *text) {
        g_autoptr(GString) out = g_string_new(NULL);

        format_append_safe(out, text);
        return g_strdup(out->str);
}

char *format_size(uint64_t bytes) {
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
        double value = (double) bytes;
        gsize unit = 0;

        while (value >= 1024 && unit + 1 < G_N_ELEMENTS(units)) {
                value /= 1024;
                unit++;
        }
        return g_strdup_printf(unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

char *format_duration(double seconds) {
        if (seconds < 0 || !isfinite(seconds))
                return g_strdup("unknown");
        if (seconds < 10)
                return g_strdup_printf("%.2g s", seconds);
        if (seconds < 60)
                return g_strdup_printf("%.0f s", seconds);
        if (seconds < 3600)
                return g_strdup_printf("%d min %d s", (int) (seconds / 60), (int) fmod(seconds, 60));
        if (seconds < 86400)
                return g_strdup_printf("%d h %d min", (int) (seconds / 3600),
                                       (int) (fmod(seconds, 3600) / 60));
        return g_strdup_printf("%.0f d %d h", floor(seconds / 86400), (int) (fmod(seconds, 86400) / 3600));
}

char *format_time(uint64_t usec) {
        g_autoptr(GDateTime) time = NULL;

        if (usec == 0)
                return g_strdup("-");
        time = g_date_time_new_from_unix_local((gint64) (usec / G_USEC_PER_SEC));
        return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("-");
}

char *format_value(JsonNode *node) {
        g_autoptr(GString) out = g_string_new(NULL);
        JsonArray *array;

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
                return format_safe(json_node_get_string(node));
        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_DOUBLE)
                return g_strdup_printf("%.6g", json_node_get_double(node));
        if (JSON_NODE_HOLDS_ARRAY(node)) {
                array = json_node_get_array(node);
                for (guint i = 0; i < json_array_get_length(array); i++) {
                        g_autofree char *item = format_value(json_array_get_element(array, i));

                        g_string_append_printf(out, "%s%s", i > 0 ? " " : "", item);
                }
                return g_strdup(out->str);
        }
        if (JSON_NODE_HOLDS_OBJECT(node)) {
                g_autoptr(GList) members = json_object_get_members(json_node_get_object(node));

                for (GList *l = members; l; l = l->next) {
                        g_autofree char *item = format_value(
                                        json_object_get_member(json_node_get_object(node), l->data));

                        if (!*item)
                                continue;
                        g_string_append_printf(out, "%s", out->len > 0 ? " " : "");
                        format_append_safe(out, l->data);
                        g_string_append_printf(out, "=%s", item);
                }
                return g_strdup(out->str);
        }
        return json_to_string(node, false);
}

struct Table {
        guint columns;
        GPtrArray *cells; /* row after row, the headings first */
};

static guint text_width(const char *text) {
        guint width = 0;

        for (; *text; text = g_utf8_next_char(text)) {
                gunichar c = g_utf8_get_char(text);

                width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
        }
        return width;
}

Table *table_new(const char *first_heading, ...) {
        Table *table = g_new0(Table, 1);
        va_list headings;

        table->cells = g_ptr_array_new_with_free_func(g_free);
        va_start(headings, first_heading);
        for (const char *heading = first_heading; heading; heading = va_arg(headings, const char *)) {
                g_ptr_array_add(table->cells, g_strdup(heading));
                table->columns++;
        }
        va_end(headings);
        return table;
}

void table_row(Table *table, const char *first_cell, ...) {
        va_list cells;

        va_start(cells, first_cell);
        for (guint i = 0; i < table->columns; i++) {
                const char *cell = i == 0 ? first_cell : va_arg(cells, const char *);
                char *safe = format_safe(cell && *cell ? cell : "-");

                g_ptr_array_add(table->cells, safe);
        }
        va_end(cells);
}

static bool column_is_empty(const Table *table, guint column) {
        for (guint i = table->columns + column; i < table->cells->len; i += table->columns)
                if (strcmp(g_ptr_array_index(table->cells, i), "-") != 0)
                        return false;
        return true;
}

void table_drop_empty(Table *table, const char *heading) {
        for (guint column = table->columns - 1; column > 0; column--) {
                if (strcmp(g_ptr_array_index(table->cells, column), heading) != 0 || !column_is_empty(table, column))
                        continue;
                for (guint row = table->cells->len / table->columns; row-- > 0;)
                        g_ptr_array_remove_index(table->cells, row * table->columns + column);
                table->columns--;
        }
}

static const char *cell_at(const Table *table, guint row, guint column) {
        return g_ptr_array_index(table->cells, row * table->columns + column);
}

static guint column_width(const Table *table, const Options *options, guint column) {
        guint rows = table->cells->len / table->columns, width = 0;

        for (guint i = options->legend ? 0 : 1; i < rows; i++)
                width = MAX(width, text_width(cell_at(table, i, column)));
        return width;
}

/* Behind the next word; what stands between quotes belongs to one, unless nothing closes them. An apostrophe inside a word opens none. */
static const char *word_end(const char *p, bool inside) {
        for (; *p && *p != ' '; inside = g_ascii_isalnum(*p) || (*p & 0x80), p++) {
                const char *end = strchr("'\"`", *p) && !(*p == '\'' && inside) ? strchr(p + 1, *p) : NULL;

                if (end)
                        p = end;
        }
        return p;
}

static void append_folded(GString *out, const char *text, guint indent, guint width) {
        guint used = 0;

        for (const char *p = text, *end; *p; p = end) {
                while (*p == ' ')
                        p++;
                if (!*p)
                        break;
                end = word_end(p, false);
                g_autofree char *word = g_strndup(p, (gsize) (end - p));
                guint length = text_width(word);

                if (used > 0 && used + 1 + length > width) {
                        g_string_append_printf(out, "\n%*s", (int) indent, "");
                        used = 0;
                }
                g_string_append_printf(out, "%s%s", used > 0 ? " " : "", word);
                used += length + (used > 0);
        }
        g_string_append_c(out, '\n');
}

#define FOLD_MIN 30u

void table_print_folded(const Table *table, const Options *options, guint columns, GString *out) {
        guint rows = table->cells->len / table->columns, text = table->columns - 2, indent = 0;

        for (guint column = 0; column < text; column++)
                indent += column_width(table, options, column) + 2;
        for (guint row = options->legend ? 0 : 1; row < rows; row++) {
                guint width = MAX(columns, indent + FOLD_MIN) - indent;
                const char *more = row > 0 ? cell_at(table, row, text + 1) : "-";

                for (guint column = 0; column < text; column++) {
                        const char *cell = cell_at(table, row, column);

                        g_string_append_printf(out, "%s%*s", cell, (int) (column_width(table, options, column) - text_width(cell) + 2), "");
                }
                append_folded(out, cell_at(table, row, text), indent, width);
                if (strcmp(more, "-") == 0)
                        continue;
                g_string_append_printf(out, "%*s→ ", (int) indent, "");
                append_folded(out, more, indent + 2, width - 2);
        }
}

void table_print(const Table *table, const Options *options, GString *out) {
        guint rows = table->cells->len / table->columns;

        for (guint row = options->legend ? 0 : 1; row < rows; row++)
                for (guint column = 0; column < table->columns; column++) {
                        const char *cell = cell_at(table, row, column);
                        guint width = column_width(table, options, column);

                        g_string_append(out, cell);
                        if (column + 1 == table->columns)
                                g_string_append_c(out, '\n');
                        else
                                g_string_append_printf(out, "%*s", (int) (width - text_width(cell) + 2), "");
                }
}

void table_free(Table *table) {
        if (!table)
                return;
        g_ptr_array_unref(table->cells);
        g_free(table);
}

void format_json(const Options *options, JsonNode *node, GString *out) {
        g_autofree char *text = json_to_string(node, options->json != JSON_SHORT);

        g_string_append(out, text);
        g_string_append_c(out, '\n');
}

void format_json_object(const Options *options, JsonObject *object, GString *out) {
        g_autoptr(JsonNode) node = json_node_alloc();

        json_node_init_object(node, object);
        format_json(options, node, out);
}

/* Deeper than this is not shown; nothing of the agent comes near. */
#define DEPTH_MAX 32

static void text_element(const char *label, JsonNode *node, unsigned indent, GString *out) {
        g_autofree char *value = NULL;

        g_string_append_printf(out, "%*s", (int) (indent * 2), "");
        format_append_safe(out, label);
        if (JSON_NODE_HOLDS_OBJECT(node) ||
            (JSON_NODE_HOLDS_ARRAY(node) && json_array_get_length(json_node_get_array(node)) > 0)) {
                g_string_append(out, "\n");
                format_json_text(node, indent + 1, out);
                return;
        }
        value = JSON_NODE_HOLDS_ARRAY(node) ? g_strdup("none") : format_value(node);
        g_string_append_printf(out, " %s\n", value);
}

void format_json_text(JsonNode *node, unsigned indent, GString *out) {
        if (indent > DEPTH_MAX)
                return;
        if (JSON_NODE_HOLDS_OBJECT(node)) {
                JsonObject *object = json_node_get_object(node);
                g_autoptr(GList) members = json_object_get_members(object);

                for (GList *l = members; l; l = l->next) {
                        g_autofree char *label = g_strdup_printf("%s:", (const char *) l->data);

                        text_element(label, json_object_get_member(object, l->data), indent, out);
                }
        } else if (JSON_NODE_HOLDS_ARRAY(node)) {
                JsonArray *array = json_node_get_array(node);

                for (guint i = 0; i < json_array_get_length(array); i++)
                        text_element("-", json_array_get_element(array, i), indent, out);
        } else {
                g_autofree char *value = format_value(node);

                g_string_append_printf(out, "%*s%s\n", (int) (indent * 2), "", value);
        }
}

JsonObject *format_error_object(const char *name, const char *message) {
        JsonObject *error = json_object_new();
        g_autofree char *valid = g_utf8_make_valid(message, -1);

        json_object_set_string_member(error, "name", name);
        json_object_set_string_member(error, "message", valid);
        return error;
}

void format_error(const Options *options, const char *name, const char *message) {
        g_autofree char *safe = NULL, *safe_name = NULL;
        const char *last;

        if (options->json != JSON_OFF) {
                g_autoptr(JsonObject) object = json_object_new();
                g_autoptr(GString) out = g_string_new(NULL);

                json_object_set_object_member(object, "error", format_error_object(name, message));
                format_json_object(options, object, out);
                fputs(out->str, stdout);
                fflush(stdout);
                return;
        }
        safe = format_safe(message);
        last = strrchr(name, '.');
        safe_name = format_safe(last ? last + 1 : name);
        fprintf(stderr, "polarshiftctl: %s (%s)\n", safe, safe_name);
}

void format_note(const Options *options, const char *format, ...) {
        g_autofree char *text = NULL, *safe = NULL;
        va_list arguments;

        if (options->quiet || options->json != JSON_OFF)
                return;
        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        safe = format_safe(text);
        fprintf(stderr, "%s\n", safe);
}

bool format_colours(void) {
        const char *none = g_getenv("NO_COLOR");
        const char *terminal = g_getenv("TERM");

        return isatty(STDOUT_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb") != 0;
}

void format_terminal_size(int fd, unsigned *ret_columns, unsigned *ret_rows) {
        struct winsize size = {};

        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) {
                *ret_columns = 80;
                *ret_rows = 24;
                return;
        }
        *ret_columns = size.ws_col;
        *ret_rows = size.ws_row;
}

static void write_all(int fd, const char *text, gsize length) {
        while (length > 0) {
                ssize_t n = write(fd, text, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                text += n;
                length -= (gsize) n;
        }
}

static void run_pager(int input, char **words) {
        sigset_t none;

        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) dup2(input, STDIN_FILENO);
        /* The pager may be root's: no shell, no editor, no other file from inside it. */
        (void) setenv("LESSSECURE", "1", 1);
        (void) setenv("LESS", "FRSXMK", 0);
        if (words)
                (void) execvp(words[0], words);
        (void) execlp("less", "less", (char *) NULL);
        (void) execlp("more", "more", (char *) NULL);
        (void) execlp("cat", "cat", (char *) NULL);
        _exit(EXIT_FAILURE);
}

static bool page(const GString *out) {
        g_auto(GStrv) words = NULL;
        const char *pager = g_getenv("PAGER");
        int fds[2];
        pid_t child;

        if (pager && (!*pager || strcmp(pager, "cat") == 0))
                return false;
        if (pager && !g_shell_parse_argv(pager, NULL, &words, NULL))
                words = NULL;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return false;
        fflush(stdout);
        child = fork();
        if (child == 0)
                run_pager(fds[0], words);
        (void) close(fds[0]);
        if (child < 0) {
                (void) close(fds[1]);
                return false;
        }
        (void) signal(SIGPIPE, SIG_IGN); /* the pager may be left before the end */
        write_all(fds[1], out->str, out->len);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) close(fds[1]);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return true;
}

void format_output(const Options *options, const GString *out) {
        unsigned columns, rows, lines = 0;

        if (options->pager && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)) {
                format_terminal_size(STDOUT_FILENO, &columns, &rows);
                for (gsize i = 0; i < out->len; i++)
                        lines += out->str[i] == '\n';
                if (lines >= rows && page(out))
                        return;
        }
        fwrite(out->str, 1, out->len, stdout);
        fflush(stdout);
}

void format_node(const Options *options, JsonNode *node) {
        g_autoptr(GString) out = g_string_new(NULL);

        if (options->json != JSON_OFF)
                format_json(options, node, out);
        else
                format_json_text(node, 0, out);
        format_output(options, out);
}
