/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Step 5 of the switch protocol, for rows: what was found equal is not read again; rows that changed since (dirty.h) are.
 *
 *   1. In the guard, while people write: the keys are compared a few thousand at a time: upstream's hashes, the position, applied up to there,
 *      downstream's hashes. Equal ones are settled, others stay. Tables of which nothing is known are compared whole, if they are small.
 *   2. Behind the fence: what is left, which is what the last moment changed. A difference is one now, and undoes the switch.
 *
 * What is too large for that is not compared, and the certificate names it. With verify=advisory nothing is. */

#include "engine/engine-private.h"

typedef struct FinalCheck FinalCheck;

FinalCheck *final_check_new(Engine *engine, const EngineOperation *operation, Side from, Side to);
void final_check_free(FinalCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FinalCheck, final_check_free)

bool final_check_prepare(FinalCheck *check, GError **error);
/* A is closed and B drained. Not longer than TIMEOUT_USEC, about. PS_ERROR_VERIFICATION_FAILED. */
bool final_check_run(FinalCheck *check, gint64 timeout_usec, GError **error);
