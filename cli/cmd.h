/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The verbs. Each gets its own words (without the verb) and returns the exit status. */

#include "client.h"
#include "wait.h"

typedef struct Verb Verb;

struct Verb {
        const char *name; /* "cluster list" has two words */
        const char *arguments;
        unsigned min;
        unsigned max;
        uint64_t options; /* besides the common ones */
        int (*run)(Client *client, const Verb *verb, char **words);
        const char *summary;
        const char *example;
};

int cmd_list(Client *client, const Verb *verb, char **words);
int cmd_status(Client *client, const Verb *verb, char **words);
int cmd_show(Client *client, const Verb *verb, char **words);
int cmd_permissions(Client *client, const Verb *verb, char **words);
int cmd_create(Client *client, const Verb *verb, char **words);
int cmd_operate(Client *client, const Verb *verb, char **words); /* check … remove */
int cmd_abort(Client *client, const Verb *verb, char **words);
int cmd_limits(Client *client, const Verb *verb, char **words);
int cmd_endpoint(Client *client, const Verb *verb, char **words);
int cmd_acknowledge(Client *client, const Verb *verb, char **words);
int cmd_watch(Client *client, const Verb *verb, char **words);
int cmd_wait(Client *client, const Verb *verb, char **words);
int cmd_log(Client *client, const Verb *verb, char **words);
int cmd_report(Client *client, const Verb *verb, char **words);
int cmd_plan(Client *client, const Verb *verb, char **words);
int cmd_set_credential(Client *client, const Verb *verb, char **words);
int cmd_remove_credential(Client *client, const Verb *verb, char **words);
int cmd_credentials(Client *client, const Verb *verb, char **words);
int cmd_cluster_list(Client *client, const Verb *verb, char **words);
int cmd_cluster_status(Client *client, const Verb *verb, char **words);
int cmd_cluster_create(Client *client, const Verb *verb, char **words);
int cmd_cluster_change(Client *client, const Verb *verb,
                       char **words); /* rename, binlog, allow, stop, start, remove */

/* Shared by verbs. */

/* Rows of a(sso), sorted by name, as an array of arrays. */
int list_objects(Client *client, const char *method, JsonArray **ret, sd_bus_error *error);
/* Prints a(sso) as a table or as objects {"name":…,SECOND:…,"path":…}. */
int print_objects(Client *client, const char *method, const char *second, const char *none);
/* The table that status and watch show: one row per element of PROPERTIES (JsonObject). */
void overview_print(const Options *options, GPtrArray *properties, GString *out);
/* The properties of every migration, of JsonObject, sorted by name. One that cannot be read is left out with
 * a note. */
int overview_read(Client *client, GPtrArray **ret, sd_bus_error *error);
/* One migration in full. */
void status_print(JsonObject *properties, GString *out);
/* Starts CALL, follows it unless --no-wait, prints the outcome and gives the exit status. ID 0: CALL returns
 * it. */
int operation_run(Client *client, const char *kind, const char *name, const char *path, const char *interface,
                  sd_bus_message *call, uint64_t id, Outcome *ret);
/* Asks Plan() what OPERATION would do. */
int plan_read(Client *client, const char *path, const char *operation, JsonNode **ret, sd_bus_error *error);
/* Prints the plan and has NAME typed. 0 to go on, else the exit status. */
int confirm(Client *client, const char *name, const char *path, const char *operation);
/* The same with text instead of the agent's plan. */
int confirm_name(Client *client, const char *kind, const char *name, const char *verb, const char *plan);
/* "Migration NAME is paused.", or {KIND:NAME,"done":WHAT}. */
int done(Client *client, const char *kind, const char *name, const char *what);
