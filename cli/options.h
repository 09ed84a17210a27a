/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Command line options: one table says name, argument, help and, for those that become a D-Bus option, the
 * key. A verb names the ones that it takes; one that it does not take is refused, never ignored. */

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "settings.h"

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
} JsonMode;

typedef enum OptionId {
        /* taken by every verb */
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_JSON,
        OPTION_JSON_LETTER,
        OPTION_WAIT,
        OPTION_NO_WAIT,
        OPTION_TIMEOUT,
        OPTION_YES,
        OPTION_QUIET,
        OPTION_NO_PAGER,
        OPTION_NO_LEGEND,
        OPTION_NO_ASK_PASSWORD,
        OPTION_ADDRESS,
        _OPTION_COMMON_MAX,
        /* taken by those that name them */
        OPTION_DRY_RUN = _OPTION_COMMON_MAX,
        OPTION_SETTING,
        OPTION_PROPERTY,
        OPTION_VALUE,
        OPTION_START,
        OPTION_ACCEPT_WARNINGS,
        OPTION_WITHOUT_UNREACHABLE,
        OPTION_FOR,
        OPTION_FOLLOW,
        OPTION_LINES,
        OPTION_FORMAT,
        OPTION_PASSWORD_FILE,
        OPTION_SOURCE,
        OPTION_DESTINATION,
        OPTION_CLUSTER,
        OPTION_CREATE_TYPE,
        OPTION_INCLUDE,
        OPTION_EXCLUDE,
        OPTION_MAX_DELAY,
        OPTION_EXPIRE_AFTER,
        OPTION_DEADLINE,
        OPTION_EXPECTED_GENERATION,
        OPTION_CONFIRM_WITHIN,
        OPTION_KILL_SESSIONS,
        OPTION_DISABLE_BINLOG,
        OPTION_DDL,
        OPTION_DELETE_DATA,
        _OPTION_MAX,
} OptionId;

#define OPTION_BIT(id) (UINT64_C(1) << (id))
#define OPTIONS_COMMON (OPTION_BIT(_OPTION_COMMON_MAX) - 1)

typedef struct Options {
        bool help;
        bool version;
        JsonMode json;
        bool wait;
        uint64_t timeout; /* µs, 0 = none */
        bool yes;
        bool quiet;
        bool pager;
        bool legend;
        bool ask_password;
        char *address;
        bool dry_run;
        GPtrArray *properties; /* -p */
        bool value;
        bool start;
        bool accept_warnings;
        bool without_unreachable;
        char *wait_for;
        bool follow;
        unsigned lines; /* 0 = all */
        char *format;
        char *password_file;
        Settings *settings; /* all that goes to an a{sv} */
        uint64_t seen;      /* OPTION_BIT of what was given */
} Options;

void options_init(Options *options);
void options_done(Options *options);

/* Reads ARGV; what is no option is in RET_WORDS. An error has a message for people. */
bool options_parse(Options *options, int argc, char **argv, GPtrArray *ret_words, char **ret_message);
/* NULL when every option given is in ACCEPTED or common, else the name of one that is not. */
const char *options_refused(const Options *options, uint64_t accepted);
/* The lines of a help text for the options of the mask. */
void options_help(GString *out, uint64_t mask);
