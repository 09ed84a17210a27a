/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What is known of changed rows (dirty.h), in a file of the migration's folder while the agent is stopped. It is exact as long as everything
 * behind transaction SEQ of leg LEG is dispatched again, which the checkpoints tell: then keys are added that are there already, or that are
 * missing in the file. So it does not matter how old the file is, nor who else had the migration meanwhile. */

#include "engine/dirty.h"

/* Everything up to SEQ was dispatched. Where nothing is known there is no file afterwards. */
bool dirty_store_save(const char *directory, DirtyKeys *dirty, guint32 leg, guint64 seq, GError **error);
/* Into DIRTY, which knows nothing yet; the file is gone then. false: there is none, or none that can be used. */
bool dirty_store_take(const char *directory, DirtyKeys *dirty, guint32 *ret_leg, guint64 *ret_seq);
