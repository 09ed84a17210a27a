/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command line options; see options.h. */

#include "options.h"

#include <getopt.h>
#include <string.h>

typedef struct OptionSpec {
        const char *name;
        char letter;
        int argument;    /* of getopt */
        const char *key; /* the D-Bus option it becomes */
        const char *metavar;
        const char *help;
} OptionSpec;

static const OptionSpec option_table[_OPTION_MAX] = {
        [OPTION_HELP] = { "help", 'h', no_argument, NULL, NULL, "Show this text" },
        [OPTION_VERSION] = { "version", 0, no_argument, NULL, NULL, "Show the version" },
        [OPTION_JSON] = { "json", 0, optional_argument, NULL, "pretty|short|off", "Print JSON, errors too" },
        [OPTION_JSON_LETTER] = { NULL, 'j', no_argument, NULL, NULL, "Same as --json=pretty" },
        [OPTION_WAIT] = { "wait", 0, no_argument, NULL, NULL, "Wait for the operation's end (the default)" },
        [OPTION_NO_WAIT] = { "no-wait", 0, no_argument, NULL, NULL,
                             "Return once the operation was accepted" },
        [OPTION_TIMEOUT] = { "timeout", 0, required_argument, NULL, "TIME",
                             "Wait no longer than this (30s, 5min)" },
        [OPTION_YES] = { "yes", 'y', no_argument, NULL, NULL, "Do not ask for confirmation" },
        [OPTION_QUIET] = { "quiet", 'q', no_argument, NULL, NULL, "Print results and errors only" },
        [OPTION_NO_PAGER] = { "no-pager", 0, no_argument, NULL, NULL,
                              "Do not pipe long output into a pager" },
        [OPTION_NO_LEGEND] = { "no-legend", 0, no_argument, NULL, NULL, "No headings and no hints" },
        [OPTION_NO_ASK_PASSWORD] = { "no-ask-password", 0, no_argument, NULL, NULL,
                                     "Do not ask for authorisation on this terminal" },
        [OPTION_ADDRESS] = { "address", 0, required_argument, NULL, "ADDRESS",
                             "The bus on which the agent is" },
        [OPTION_DRY_RUN] = { "dry-run", 'n', no_argument, NULL, NULL,
                             "Say what would be done, change nothing" },
        [OPTION_SETTING] = { NULL, 'o', required_argument, NULL, "KEY=VALUE", "Set any option of the call" },
        [OPTION_PROPERTY] = { "property", 'p', required_argument, NULL, "NAME", "Only this property" },
        [OPTION_VALUE] = { "value", 0, no_argument, NULL, NULL,
                           "Only the value, without the property's name" },
        [OPTION_START] = { "start", 0, no_argument, NULL, NULL, "Start it at once" },
        [OPTION_ACCEPT_WARNINGS] = { "accept-warnings", 0, no_argument, NULL, NULL,
                                     "Start although checks warn" },
        [OPTION_WITHOUT_UNREACHABLE] = { "without-unreachable", 0, no_argument, NULL, NULL,
                                         "Do without a side that cannot be reached" },
        [OPTION_FOR] = { "for", 0, required_argument, NULL, "PHASE", "The phase to wait for" },
        [OPTION_FOLLOW] = { "follow", 'f', no_argument, NULL, NULL, "Go on printing what comes" },
        [OPTION_LINES] = { "lines", 0, required_argument, NULL, "COUNT", "Only the last lines" },
        [OPTION_FORMAT] = { "format", 0, required_argument, NULL, "text|json|html",
                            "The form of the report" },
        [OPTION_PASSWORD_FILE] = { "password-file", 0, required_argument, NULL, "PATH",
                                   "Read the secret from a file, - is standard input" },
        [OPTION_SOURCE] = { "source", 0, required_argument, "source", "URI",
                            "mysql://user@host[:port]/?ssl-mode=" },
        [OPTION_DESTINATION] = { "destination", 0, required_argument, "destination", "URI",
                                 "Where to migrate" },
        [OPTION_CLUSTER] = { "cluster", 0, required_argument, "cluster", "NAME",
                             "A cluster instead of a URI" },
        [OPTION_CREATE_TYPE] = { "create-type", 0, required_argument, "create-type", "TYPE",
                                 "migrate or clone" },
        [OPTION_INCLUDE] = { "include", 0, required_argument, "include", "GLOBS",
                             "database or database.table" },
        [OPTION_EXCLUDE] = { "exclude", 0, required_argument, "exclude", "GLOBS", "Wins over --include" },
        [OPTION_MAX_DELAY] = { "max-delay", 0, required_argument, "max-delay", "TIME",
                               "Refuse to switch at this delay or above" },
        [OPTION_EXPIRE_AFTER] = { "expire-after", 0, required_argument, "expire-after", "TIME",
                                  "End the migration by itself after this time" },
        [OPTION_DEADLINE] = { "deadline", 0, required_argument, "deadline", "TIME",
                              "Undo if writes would stop for longer (30s)" },
        [OPTION_EXPECTED_GENERATION] = { "expected-generation", 0, required_argument, "expected-generation",
                                         "NUMBER", "Refuse if the migration changed since" },
        [OPTION_CONFIRM_WITHIN] = { "confirm-within", 0, required_argument, "confirm-within", "TIME",
                                    "Undo it unless confirmed in this time" },
        [OPTION_KILL_SESSIONS] = { "kill-sessions", 0, no_argument, "kill-sessions", NULL,
                                   "End the sessions left on the old side" },
        [OPTION_DISABLE_BINLOG] = { "disable-binlog", 0, no_argument, "disable-binlog", NULL,
                                    "Switch the destination's binary log off" },
        [OPTION_DDL] = { "ddl", 0, required_argument, "ddl", "retry|skip|done-by-hand",
                         "What to do with the statement that stopped it" },
        [OPTION_DELETE_DATA] = { "delete-data", 0, no_argument, "delete-data", NULL,
                                 "Delete the cluster's data too" },
};

void options_init(Options *options) {
        *options = (Options){
                .wait = true,
                .pager = true,
                .legend = true,
                .ask_password = true,
                .properties = g_ptr_array_new_with_free_func(g_free),
                .settings = settings_new(),
        };
}

void options_done(Options *options) {
        g_free(options->address);
        g_free(options->wait_for);
        g_free(options->format);
        g_free(options->password_file);
        g_ptr_array_unref(options->properties);
        settings_free(options->settings);
        memset(options, 0, sizeof *options);
}

static void replace(char **field, const char *value) {
        g_free(*field);
        *field = g_strdup(value);
}

static bool parse_json_mode(Options *options, const char *value, char **ret_message) {
        static const struct {
                const char *name;
                JsonMode mode;
        } modes[] = { { "pretty", JSON_PRETTY }, { "short", JSON_SHORT }, { "off", JSON_OFF } };

        for (gsize i = 0; i < G_N_ELEMENTS(modes); i++)
                if (strcmp(modes[i].name, value) == 0) {
                        options->json = modes[i].mode;
                        return true;
                }
        *ret_message = g_strdup_printf("--json= takes pretty, short or off, not \"%s\".", value);
        return false;
}

static bool parse_numbers(Options *options, OptionId id, const char *value, char **ret_message) {
        double seconds;
        guint64 lines;

        if (id == OPTION_TIMEOUT) {
                if (!settings_parse_duration(value, &seconds) || seconds <= 0 || seconds > 1e9) {
                        *ret_message = g_strdup_printf("--timeout= takes a time such as 30s, not \"%s\".",
                                                       value);
                        return false;
                }
                options->timeout = (uint64_t) (seconds * G_USEC_PER_SEC);
                return true;
        }
        if (!g_ascii_string_to_unsigned(value, 10, 1, G_MAXUINT, &lines, NULL)) {
                *ret_message = g_strdup_printf("--lines= takes a number, not \"%s\".", value);
                return false;
        }
        options->lines = (unsigned) lines;
        return true;
}

static bool apply(Options *options, OptionId id, const char *value, char **ret_message) {
        options->seen |= OPTION_BIT(id);
        if (option_table[id].key)
                return settings_add(options->settings, option_table[id].key, value ? value : "true",
                                    ret_message);
        switch ((int) id) { /* an int, since the rest have a key and were dealt with above */
        case OPTION_HELP:
                options->help = true;
                return true;
        case OPTION_VERSION:
                options->version = true;
                return true;
        case OPTION_JSON:
                return parse_json_mode(options, value ? value : "pretty", ret_message);
        case OPTION_JSON_LETTER:
                options->json = JSON_PRETTY;
                return true;
        case OPTION_WAIT:
                options->wait = true;
                return true;
        case OPTION_NO_WAIT:
                options->wait = false;
                return true;
        case OPTION_TIMEOUT:
        case OPTION_LINES:
                return parse_numbers(options, id, value, ret_message);
        case OPTION_YES:
                options->yes = true;
                return true;
        case OPTION_QUIET:
                options->quiet = true;
                return true;
        case OPTION_NO_PAGER:
                options->pager = false;
                return true;
        case OPTION_NO_LEGEND:
                options->legend = false;
                return true;
        case OPTION_NO_ASK_PASSWORD:
                options->ask_password = false;
                return true;
        case OPTION_ADDRESS:
                replace(&options->address, value);
                return true;
        case OPTION_DRY_RUN:
                options->dry_run = true;
                return true;
        case OPTION_SETTING:
                return settings_add_word(options->settings, value, ret_message);
        case OPTION_PROPERTY:
                g_ptr_array_add(options->properties, g_strdup(value));
                return true;
        case OPTION_VALUE:
                options->value = true;
                return true;
        case OPTION_START:
                options->start = true;
                return true;
        case OPTION_ACCEPT_WARNINGS:
                options->accept_warnings = true;
                return true;
        case OPTION_WITHOUT_UNREACHABLE:
                options->without_unreachable = true;
                return true;
        case OPTION_FOR:
                replace(&options->wait_for, value);
                return true;
        case OPTION_FOLLOW:
                options->follow = true;
                return true;
        case OPTION_FORMAT:
                replace(&options->format, value);
                return true;
        case OPTION_PASSWORD_FILE:
                replace(&options->password_file, value);
                return true;
        default:
                g_return_val_if_reached(false);
        }
}

/* What getopt_long() returns for a long option; letters stay below. */
#define LONG_BASE 256

static OptionId id_of(int code) {
        if (code >= LONG_BASE)
                return (OptionId) (code - LONG_BASE);
        for (int i = 0; i < _OPTION_MAX; i++)
                if (option_table[i].letter && option_table[i].letter == code)
                        return (OptionId) i;
        return _OPTION_MAX;
}

bool options_parse(Options *options, int argc, char **argv, GPtrArray *ret_words, char **ret_message) {
        struct option longs[_OPTION_MAX + 1] = {};
        g_autoptr(GString) letters = g_string_new(":");
        g_autofree char *problem = NULL;
        int used = 0;
        int code;

        for (int i = 0; i < _OPTION_MAX; i++) {
                const OptionSpec *spec = &option_table[i];

                if (spec->name)
                        longs[used++] = (struct option){ spec->name, spec->argument, NULL, LONG_BASE + i };
                if (spec->letter) {
                        g_string_append_c(letters, spec->letter);
                        if (spec->argument == required_argument)
                                g_string_append_c(letters, ':');
                }
        }
        opterr = 0;
        while ((code = getopt_long(argc, argv, letters->str, longs, NULL)) != -1) {
                g_autofree char *message = NULL;
                OptionId id = id_of(code);

                if (code == ':')
                        message = g_strdup_printf("%s needs a value.", argv[optind - 1]);
                else if ((code == '?' || id == _OPTION_MAX) && optopt > 0 && optopt < LONG_BASE)
                        message = g_strdup_printf("There is no option -%c.", optopt);
                else if (code == '?' || id == _OPTION_MAX)
                        message = g_strdup_printf("\"%s\" is no option, or takes no value.",
                                                  argv[optind - 1]);
                else
                        (void) apply(options, id, optarg, &message);
                /* Go on after the first mistake: --json may come later and says how to report it. */
                if (message && !problem)
                        problem = g_steal_pointer(&message);
        }
        for (int i = optind; i < argc; i++)
                g_ptr_array_add(ret_words, argv[i]);
        if (problem) {
                *ret_message = g_steal_pointer(&problem);
                return false;
        }
        return true;
}

const char *options_refused(const Options *options, uint64_t accepted) {
        uint64_t wrong = options->seen & ~(accepted | OPTIONS_COMMON);

        for (int i = 0; i < _OPTION_MAX; i++)
                if (wrong & OPTION_BIT(i))
                        return option_table[i].name ? option_table[i].name : "o";
        return NULL;
}

void options_help(GString *out, uint64_t mask) {
        for (int i = 0; i < _OPTION_MAX; i++) {
                const OptionSpec *spec = &option_table[i];
                g_autoptr(GString) left = g_string_new("  ");

                if (!(mask & OPTION_BIT(i)))
                        continue;
                if (spec->letter)
                        g_string_append_printf(left, "-%c%s", spec->letter, spec->name ? " " : "");
                else
                        g_string_append(left, "   ");
                if (spec->name)
                        g_string_append_printf(left, "--%s", spec->name);
                if (spec->metavar)
                        g_string_append_printf(left, "%s%s", spec->name ? "=" : " ", spec->metavar);
                g_string_append_printf(out, "%-34s %s\n", left->str, spec->help);
        }
}
