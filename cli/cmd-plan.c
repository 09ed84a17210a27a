/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan, the confirmation that rests on it, and report. What the agent sends is rendered whatever its members
 * are, so that a plan or report that grows needs no new command line; see report.h for what is known of a report. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cmd.h"
#include "format.h"
#include "report.h"

int plan_read(Client *client, const char *path, const char *operation, JsonNode **ret, sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL;
        int r;

        r = client_method(client, path, MIGRATION_INTERFACE, "Plan", &call, error);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", operation);
        if (r >= 0)
                r = client_append_end(client, call, client->options->without_unreachable ? 2 : 0);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        return client_json_method(client, call, ret, error);
}

int cmd_plan(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonNode) plan = NULL;
        g_autofree char *path = NULL;
        int r;

        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = plan_read(client, path, words[1], &plan, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        format_node(client->options, plan);
        return STATUS_DONE;
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        bool *ready = userdata;

        *ready = true;
        return 0;
}

/* A line from the terminal, by way of the loop, so that Ctrl-C and --timeout count here as well. */
static int read_line(Client *client, char *line, gsize size) {
        g_autoptr(sd_event_source) source = NULL;
        bool ready = false;
        ssize_t n;
        int r;

        r = sd_event_add_io(client->event, &source, STDIN_FILENO, EPOLLIN, on_input, &ready);
        if (r < 0)
                return r;
        while (!ready) {
                r = client_iterate(client);
                if (r < 0)
                        return r;
        }
        n = read(STDIN_FILENO, line, size - 1);
        if (n < 0)
                return -errno;
        line[n] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        return 0;
}

int confirm_name(Client *client, const char *kind, const char *name, const char *verb, const char *plan) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autofree char *safe = format_safe(name);
        char line[128];
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return client_usage(client, "Without a terminal %s needs --yes.", verb);
        r = client_connect(client, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        fprintf(stderr, "%s\nType the %s's name (%s) to %s, anything else to leave it: ", plan, kind, safe,
                verb);
        fflush(stderr);
        r = read_line(client, line, sizeof line);
        if (r < 0)
                return client_fail(client, r, &error);
        if (strcmp(line, name) == 0)
                return STATUS_DONE;
        format_error(client->options, CTL_ERROR_NOT_CONFIRMED, "Not confirmed; nothing was done.");
        return STATUS_FAILED;
}

int confirm(Client *client, const char *name, const char *path, const char *operation) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonNode) plan = NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        int r;

        r = plan_read(client, path, operation, &plan, &error);
        if (r < 0 && sd_bus_error_has_name(&error, ERROR_PREFIX "NotSupported"))
                g_string_append(out, "The agent has no plan of this operation.\n");
        else if (r < 0)
                return client_fail(client, r, &error);
        else
                format_json_text(plan, 0, out);
        return confirm_name(client, "migration", name, operation, out->str);
}

int cmd_report(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autoptr(JsonNode) report = NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        g_autofree char *path = NULL;
        const char *format = client->options->format;
        int r;

        if (!format)
                format = client->options->json != JSON_OFF ? "json" : "text";
        if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0 && strcmp(format, "html") != 0)
                return client_usage(client, "--format= takes text, json or html, not \"%s\".", format);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_method(client, path, MIGRATION_INTERFACE, "GetReport", &call, &error);
        if (r >= 0)
                r = client_json_method(client, call, &report, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (strcmp(format, "html") == 0)
                report_page(words[0], report, out);
        else if (strcmp(format, "json") == 0)
                format_json(client->options, report, out);
        else if (report_is_certificate(report))
                report_text(report, out);
        else
                format_json_text(report, 0, out);
        format_output(client->options, out);
        return STATUS_DONE;
}
