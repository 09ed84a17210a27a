/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a switch says of itself: beforehand in a dry run (GetPlan), and behind it in the certificate. */

#include "engine/engine-private.h"

/* What it would do now, whom it would end, and how long writes would stop as far as that can be measured; into the state. */
bool switch_record_plan(Engine *engine, const EngineOperation *operation, Side from, Side to, GError **error);

/* What the write interruption is made of: each step with its name, "journal" for all the intentions that are written, "owner" and "open" for the
 * commit point and the opening. The parts add up to the whole. */
typedef struct SwitchParts {
        gint64 at;           /* monotonic: where the next one begins */
        JsonObject *seconds; /* NULL: not begun by this process */
} SwitchParts;

void switch_parts_begin(SwitchParts *parts, gint64 at);
void switch_part(SwitchParts *parts, const char *name); /* ends now; more of a name adds up */
char *switch_parts_text(const SwitchParts *parts); /* JSON object, or NULL */
void switch_parts_clear(SwitchParts *parts);

/* Who is still connected to the side that was left, into the state; ended when KILL_SESSIONS was asked for. What fails is an event. */
void switch_record_left(Engine *engine, const EngineOperation *operation, Side from);
