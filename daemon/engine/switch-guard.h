/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Step 1 of the switch protocol: what can be known before anybody has to wait. */

#include "engine/engine-private.h"

bool switch_guard(Engine *engine, const EngineOperation *operation, Side from, Side to, GError **error);
/* The link runs, the delay is small, and the other side answers everyone who applies. */
bool switch_link_answers(Engine *engine, const EngineOperation *operation, GError **error);
bool switch_no_foreign_writes(Engine *engine, GError **error);
