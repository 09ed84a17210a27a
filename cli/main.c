/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* polarshiftctl: the agent's bus interface for people and scripts. This file is the table of its verbs; what
 * a verb does is in cmd-*.c. Exit statuses are in client.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "config.h"
#include "format.h"

#define BIT OPTION_BIT
#define ANY 64
#define SET BIT(OPTION_SETTING)
#define CREATE_OPTIONS                                                                                       \
        (SET | BIT(OPTION_SOURCE) | BIT(OPTION_DESTINATION) | BIT(OPTION_CLUSTER) |                          \
         BIT(OPTION_CREATE_TYPE) | BIT(OPTION_INCLUDE) | BIT(OPTION_EXCLUDE) | BIT(OPTION_MAX_DELAY) |       \
         BIT(OPTION_EXPIRE_AFTER) | BIT(OPTION_START) | BIT(OPTION_ACCEPT_WARNINGS) | BIT(OPTION_DRY_RUN))
#define SWITCH_OPTIONS                                                                                       \
        (SET | BIT(OPTION_DRY_RUN) | BIT(OPTION_MAX_DELAY) | BIT(OPTION_DEADLINE) |                          \
         BIT(OPTION_EXPECTED_GENERATION) | BIT(OPTION_CONFIRM_WITHIN) | BIT(OPTION_KILL_SESSIONS))
#define END_OPTIONS (SET | BIT(OPTION_DRY_RUN) | BIT(OPTION_DISABLE_BINLOG) | BIT(OPTION_WITHOUT_UNREACHABLE))

static const Verb verb_table[] = {
        { "list", "", 0, 0, 0, cmd_list, "List the migrations", "polarshiftctl list" },
        { "status", "[NAME]", 0, 1, 0, cmd_status, "Where migrations stand", "polarshiftctl status shop" },
        { "show", "NAME", 1, 1, BIT(OPTION_PROPERTY) | BIT(OPTION_VALUE), cmd_show,
          "Properties of a migration", "polarshiftctl show shop -p Phase --value" },
        { "create", "[NAME]", 0, 1, CREATE_OPTIONS, cmd_create, "Create a migration",
          "polarshiftctl create shop --source='mysql://move@db1/?ssl-mode=required' \\\n"
          "      --destination='mysql://move@db2/?ssl-mode=required' --exclude=test.* -o "
          "copy-threads=4" },
        { "check", "NAME", 1, 1, SET, cmd_operate, "Check both servers", "polarshiftctl check shop" },
        { "start", "NAME", 1, 1, SET | BIT(OPTION_ACCEPT_WARNINGS), cmd_operate, "Begin to copy",
          "polarshiftctl start shop --accept-warnings" },
        { "pause", "NAME", 1, 1, SET, cmd_operate, "Stop copying and applying for a while",
          "polarshiftctl pause shop" },
        { "resume", "NAME", 1, 1, SET | BIT(OPTION_DDL), cmd_operate, "Go on, also after a failure",
          "polarshiftctl resume shop --ddl=done-by-hand" },
        { "verify", "NAME", 1, 1, SET, cmd_operate, "Compare all rows of both sides",
          "polarshiftctl verify shop" },
        { "repair", "NAME", 1, 1, SET, cmd_operate, "Copy rows that differ again",
          "polarshiftctl repair shop" },
        { "switch", "NAME", 1, 1, SWITCH_OPTIONS, cmd_operate, "Move the writes to the destination",
          "polarshiftctl switch shop --deadline=10s --confirm-within=5min" },
        { "confirm", "NAME", 1, 1, SET, cmd_operate, "Keep a switch that waits to be confirmed",
          "polarshiftctl confirm shop" },
        { "rollback", "NAME", 1, 1, SWITCH_OPTIONS, cmd_operate, "Move the writes back to the source",
          "polarshiftctl rollback shop --yes" },
        { "complete", "NAME", 1, 1, END_OPTIONS, cmd_operate, "End a switched migration for good",
          "polarshiftctl complete shop --disable-binlog" },
        { "cancel", "NAME", 1, 1, END_OPTIONS, cmd_operate, "Give a migration up before it is switched",
          "polarshiftctl cancel shop" },
        { "abort", "NAME [OPERATION]", 1, 2, SET, cmd_abort, "Undo the running operation",
          "polarshiftctl abort shop" },
        { "remove", "NAME", 1, 1, SET, cmd_operate, "Forget a migration that ended",
          "polarshiftctl remove shop" },
        { "watch", "[NAME]", 0, 1, 0, cmd_watch, "Look on", "polarshiftctl watch --json=short" },
        { "wait", "NAME", 1, 1, BIT(OPTION_FOR), cmd_wait, "Wait for a phase, or for the running operation",
          "polarshiftctl wait shop --for=synchronizing --timeout=2h" },
        { "log", "NAME", 1, 1, BIT(OPTION_FOLLOW) | BIT(OPTION_LINES), cmd_log, "What happened",
          "polarshiftctl log shop -f" },
        { "report", "NAME", 1, 1, BIT(OPTION_FORMAT), cmd_report, "The certificate of a migration",
          "polarshiftctl report shop --format=html > shop.html" },
        { "plan", "NAME OPERATION", 2, 2, SET | SWITCH_OPTIONS | (END_OPTIONS & ~BIT(OPTION_DRY_RUN)),
          cmd_plan, "What an operation would do now", "polarshiftctl plan shop switch" },
        { "limits", "NAME KEY=VALUE...", 2, ANY, SET, cmd_limits, "Change the limits",
          "polarshiftctl limits shop max-copy-rate=20M max-source-load=10" },
        { "endpoint", "NAME SIDE URI", 3, 3, SET, cmd_endpoint, "Where a side is now reached, while paused",
          "polarshiftctl endpoint shop source 'mysql://move@db1b/?ssl-mode=required'" },
        { "acknowledge", "NAME COUNT", 2, 2, SET, cmd_acknowledge,
          "Accept foreign writes after a look at them", "polarshiftctl acknowledge shop 3" },
        { "set-credential", "NAME", 1, 1, SET | BIT(OPTION_PASSWORD_FILE), cmd_set_credential,
          "Store a password, or a certificate or key",
          "polarshiftctl set-credential shop.source --password-file=-" },
        { "remove-credential", "NAME", 1, 1, SET, cmd_remove_credential, "Forget a credential",
          "polarshiftctl remove-credential shop.source" },
        { "credentials", "", 0, 0, 0, cmd_credentials, "Names of the credentials",
          "polarshiftctl credentials" },
        { "permissions", "", 0, 0, 0, cmd_permissions, "What you may do", "polarshiftctl permissions" },
        { "cluster list", "", 0, 0, 0, cmd_cluster_list, "List the clusters", "polarshiftctl cluster list" },
        { "cluster status", "[NAME]", 0, 1, 0, cmd_cluster_status, "Where a cluster stands",
          "polarshiftctl cluster status shop" },
        { "cluster create", "NAME", 1, 1, SET | BIT(OPTION_DRY_RUN), cmd_cluster_create, "Create a cluster",
          "polarshiftctl cluster create shop -o engine=mariadb" },
        { "cluster rename", "NAME TITLE", 2, 2, SET, cmd_cluster_change, "Change the name that is displayed",
          "polarshiftctl cluster rename shop 'The shop'" },
        { "cluster binlog", "NAME on|off", 2, 2, SET, cmd_cluster_change, "Switch the binary log on or off",
          "polarshiftctl cluster binlog shop off" },
        { "cluster allow", "NAME [ADDRESS...]", 1, ANY, SET, cmd_cluster_change, "Set who may reach it",
          "polarshiftctl cluster allow shop 10.0.0.0/24" },
        { "cluster stop", "NAME", 1, 1, SET, cmd_cluster_change, "Stop a cluster",
          "polarshiftctl cluster stop shop" },
        { "cluster start", "NAME", 1, 1, SET, cmd_cluster_change, "Start a cluster",
          "polarshiftctl cluster start shop" },
        { "cluster remove", "NAME", 1, 1, SET | BIT(OPTION_DELETE_DATA), cmd_cluster_change,
          "Remove a cluster", "polarshiftctl cluster remove shop" },
};

static void print_help(const Options *options) {
        g_autoptr(GString) out =
                        g_string_new("polarshiftctl VERB ... moves a live MySQL instance.\n\nVerbs:\n");

        for (gsize i = 0; i < G_N_ELEMENTS(verb_table); i++) {
                g_autofree char *left = g_strdup_printf("%s %s", verb_table[i].name, verb_table[i].arguments);

                g_string_append_printf(out, "  %-34s %s\n", left, verb_table[i].summary);
        }
        g_string_append(out, "\nOptions of every verb:\n");
        options_help(out, OPTIONS_COMMON);
        g_string_append(out, "\npolarshiftctl VERB --help says more about one of them.\n"
                             "Exit status: 0 done, 1 failed or undone, 2 usage, 3 timed out, 4 not "
                             "authorised, 5 no such "
                             "object,\n6 refused by state or check, 7 agent unreachable, 130 detached.\n");
        format_output(options, out);
}

static void print_verb_help(const Options *options, const Verb *verb) {
        g_autoptr(GString) out = g_string_new(NULL);

        g_string_append_printf(out, "polarshiftctl %s %s%s[OPTIONS]\n\n%s.\n", verb->name, verb->arguments,
                               *verb->arguments ? " " : "", verb->summary);
        if (verb->options) {
                g_string_append(out, "\nOptions:\n");
                options_help(out, verb->options);
        }
        g_string_append(out, "\nOptions of every verb:\n");
        options_help(out, OPTIONS_COMMON);
        g_string_append_printf(out, "\nExample:\n  %s\n", verb->example);
        format_output(options, out);
}

static void print_version(const Options *options) {
        g_autoptr(JsonObject) object = json_object_new();
        g_autoptr(GString) out = g_string_new(NULL);

        if (options->json != JSON_OFF) {
                json_object_set_string_member(object, "version", POLARSHIFT_VERSION);
                format_json_object(options, object, out);
        } else
                g_string_append(out, "polarshiftctl " POLARSHIFT_VERSION "\n");
        format_output(options, out);
}

/* WORDS move behind the verb. */
static const Verb *find_verb(char ***words) {
        g_autofree char *two = NULL;

        if (strcmp((*words)[0], "cluster") == 0)
                two = g_strdup_printf("cluster %s", (*words)[1] ? (*words)[1] : "list");
        for (gsize i = 0; i < G_N_ELEMENTS(verb_table); i++)
                if (strcmp(verb_table[i].name, two ? two : (*words)[0]) == 0) {
                        *words += two && (*words)[1] ? 2 : 1;
                        return &verb_table[i];
                }
        return NULL;
}

static int run_verb(Client *client, char **words) {
        const Verb *verb = find_verb(&words);
        const char *refused;
        guint count;

        if (!verb)
                return client_usage(client, "There is no verb \"%s\"; polarshiftctl --help lists them.",
                                    words[0]);
        if (client->options->help) {
                print_verb_help(client->options, verb);
                return STATUS_DONE;
        }
        count = g_strv_length(words);
        if (count < verb->min || count > verb->max)
                return client_usage(client, "Usage: polarshiftctl %s %s", verb->name, verb->arguments);
        refused = options_refused(client->options, verb->options);
        if (refused)
                return client_usage(client, "%s does not take the option %s%s.", verb->name,
                                    refused[1] ? "--" : "-", refused);
        for (guint i = 0; i < count; i++)
                if (!g_utf8_validate(words[i], -1, NULL))
                        return client_usage(client, "Argument %u is not UTF-8.", i + 1);
        return verb->run(client, verb, words);
}

int main(int argc, char **argv) {
        char overview[] = "status";
        g_autoptr(GPtrArray) words = g_ptr_array_new();
        g_autofree char *message = NULL;
        Options options;
        Client client;
        int status;

        options_init(&options);
        client_init(&client, &options);
        if (!options_parse(&options, argc, argv, words, &message))
                status = client_usage(&client, "%s", message);
        else if (options.version) {
                print_version(&options);
                status = STATUS_DONE;
        } else if (options.help && words->len == 0) {
                print_help(&options);
                status = STATUS_DONE;
        } else {
                if (words->len == 0)
                        g_ptr_array_add(words, overview);
                g_ptr_array_add(words, NULL);
                status = run_verb(&client, (char **) words->pdata);
        }
        client_done(&client);
        options_done(&options);
        return status;
}
