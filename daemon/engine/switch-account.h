/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a switch says of itself: beforehand in a dry run (GetPlan), and behind it in the certificate. */

#include "engine/engine-private.h"

/* What it would do now, whom it would end, and how long writes would stop as far as that can be measured; into the state. */
bool switch_record_plan(Engine *engine, const EngineOperation *operation, Side from, Side to, GError **error);
/* Who is still connected to the side that was left, into the state; ended when KILL_SESSIONS was asked for. What fails is an event. */
void switch_record_left(Engine *engine, const EngineOperation *operation, Side from);
