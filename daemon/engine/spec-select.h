/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The globs of include and exclude. Pure. */

#include <stdbool.h>

/* `database` or `database.table`, each a glob of '*' and '?'; a part with dots (or backticks, doubled) stands in backticks. */
bool spec_pattern_valid(const char *pattern);
