/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Brings the changes of a table without a row key into the downstream, exactly, in the transaction that CONN has open. */

#include "engine/change-multiset.h"
#include "mysql/conn.h"

/* LIMIT: about how many bytes a statement may have. PS_ERROR_DATA_MISMATCH: a row that was to go is not there as often as it should be.
 * May be called again after a rollback. */
bool multiset_apply(Multiset *set, Conn *conn, gsize limit, GError **error);
