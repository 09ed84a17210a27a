/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Who asked for what, with which result: every call that changes something, refused ones too. */

#include <glib.h>

#include "operation.h"

/* ERROR NULL: it was done (or accepted). */
void audit_call(const Call *call, const GError *error);
