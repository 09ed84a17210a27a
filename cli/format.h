/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What is printed: tables, sizes, times, JSON, errors. Text from the agent is made harmless before it reaches
 * a terminal: names and messages come from servers that we do not control. */

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <json-glib/json-glib.h>

#include "options.h"

/* TEXT without control characters and without those that turn the direction of writing; spaces in their
 * place. */
char *format_safe(const char *text);
void format_append_safe(GString *out, const char *text);

char *format_size(uint64_t bytes);     /* "1.2 GiB" */
char *format_duration(double seconds); /* "1 h 5 min", "0.35 s", "unknown" below 0 */
char *format_time(uint64_t usec);      /* local, "-" for 0 */
/* A bus value as one line of text: lists separated by spaces. */
char *format_value(JsonNode *node);

/* Rows of cells; cells are made harmless and may be NULL. */
typedef struct Table Table;
Table *table_new(const char *first_heading, ...) G_GNUC_NULL_TERMINATED;
void table_row(Table *table, const char *first_cell, ...); /* as many cells as headings */
void table_drop_empty(Table *table, const char *heading);   /* that column, when nothing is in any row */
void table_print(const Table *table, const Options *options, GString *out);
/* For a terminal of COLUMNS: the last column stands below the one before it, and both are folded at blanks that no quotes hold, so that SQL can be copied. */
void table_print_folded(const Table *table, const Options *options, guint columns, GString *out);
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* One JSON document and a newline, in the form that --json= asks for (pretty where it is off). */
void format_json(const Options *options, JsonNode *node, GString *out);
void format_json_object(const Options *options, JsonObject *object, GString *out);
/* Any JSON as indented text. */
void format_json_text(JsonNode *node, unsigned indent, GString *out);

/* To standard error, or with --json to standard output as {"error":{"name":…,"message":…}}. */
void format_error(const Options *options, const char *name, const char *message);
JsonObject *format_error_object(const char *name, const char *message);
/* A remark for people, on standard error; nothing with --quiet or --json. */
void format_note(const Options *options, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Writes OUT to standard output, through a pager when it is longer than the terminal. */
void format_output(const Options *options, const GString *out);
/* NODE to the output, as JSON if that was asked for. */
void format_node(const Options *options, JsonNode *node);
/* Whether standard output shows colours (NO_COLOR). */
bool format_colours(void);
void format_terminal_size(int fd, unsigned *ret_columns, unsigned *ret_rows);
