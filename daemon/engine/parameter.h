/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The server's variables that matter for what applications meet: compared, carried to the destination at Start where it can take them while it
 * runs, listed with the line for its configuration where it cannot, and watched on the source while the migration lasts. */

#include <stdbool.h>

#include <glib.h>

#include "base/enum-table.h"
#include "mysql/conn.h"

typedef enum ParameterOutcome {
        PARAMETER_SAME,        /* was the same before */
        PARAMETER_CARRIED,     /* SET GLOBAL: gone with a restart, hence the line */
        PARAMETER_PERSISTED,   /* SET PERSIST */
        PARAMETER_NOT_CARRIED, /* and why */
        PARAMETER_ABSENT,      /* the destination has no such variable */
        _PARAMETER_MAX,
        _PARAMETER_INVALID = -1,
} ParameterOutcome;
ENUM_TABLE_DECLARE(parameter_outcome, ParameterOutcome);

typedef struct Parameter {
        char *name;        /* the destination's, if it has it */
        char *source;      /* value at Start */
        char *wanted;      /* what the destination is to have: the source's, as far as the destination knows it */
        char *before;      /* the destination's then; NULL: it has none */
        ParameterOutcome outcome;
        char *why;         /* NOT_CARRIED, ABSENT: why; else NULL */
        char *line;        /* for the configuration; NULL: none is needed */
        char *drift;       /* the source's value now, when it is another; NULL: it is the same */
} Parameter;
void parameter_free(Parameter *parameter);

/* name in lower case → value, of one server. */
GHashTable *parameters_read(Conn *conn, GError **error);
/* What would become of each; nothing is changed. NULL values and unknown variables are passed over. → GPtrArray of Parameter, by name. Pure. */
GPtrArray *parameters_compare(GHashTable *source, GHashTable *destination, const Flavor *destination_flavor);
/* Sets those that are to be carried; what the server refuses becomes NOT_CARRIED, with its words. Fails when it went away. */
bool parameters_carry(GPtrArray *parameters, Conn *destination, GError **error);
/* After a restart of the destination: sets again what parameters_carry() set and the server forgot. *RET_COUNT: how many were set; what the server
 * refuses now is left as it is. Fails when it went away. */
bool parameters_set_again(const GPtrArray *parameters, Conn *destination, guint *ret_count, GError **error);
/* Sets back what parameters_carry() set. */
bool parameters_restore(const GPtrArray *parameters, Conn *destination, GError **error);
/* Whether two values of parameter NAME mean the same. Pure. */
bool parameter_is_alike(const char *name, const char *a, const char *b);
/* MODES without those that a server does not have, or takes for something else. Pure. */
char *parameter_known_modes(const char *modes, const Flavor *flavor);
/* The statement that sets PARAMETER to VALUE at run time. */
char *parameter_set(const Parameter *parameter, const char *value, bool persist);

char *parameters_to_text(const GPtrArray *parameters);
GPtrArray *parameters_from_text(const char *text); /* NULL when it is not understood */

/* Any of these on a side that takes writes other than they have to be would make replication wrong; NULL: all is well. NOW: that side's values,
 * which may lack some. Pure. */
char *parameters_wrong_log(GHashTable *now);
/* NOW: the source's values, which may lack some. What differs from Start becomes drift, what does no longer loses it. Whatever changed by that is
 * added to RET_NEWS (of Parameter, not owned). Pure. */
void parameters_watch(GPtrArray *parameters, GHashTable *now, GPtrArray *ret_news);
/* The statement that reads all that is watched: two columns, name and value. */
char *parameters_watch_statement(void);
