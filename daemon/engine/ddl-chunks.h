/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The rows about chunks after a statement, while copying: what is copied of a table that changed. */

#include "engine/ddl-plan.h"
#include "engine/ledger.h"

/* PLAN was run at transaction SEQ, and all before is applied; BEFORE: what its tables were. Appends to STATEMENTS (of char *) what is to be
 * committed together with the word that it was done. May empty a table of DOWN that has to be copied again: to be called again after a
 * crash. */
bool ddl_chunks_adjust(Conn *down, const Ledger *ledger, const DdlPlan *plan, const char *before, guint64 seq, GPtrArray *statements,
                       GError **error);
