/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The one table from the named errors to D-Bus names. */

#include <glib.h>
#include <systemd/sd-bus.h>

#include "base/error.h"

#define BUS_ERROR_INTERACTIVE "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"

/* "org.polarshift1.Error.InvalidPhase", or a standard name where the contract has one. */
const char *bus_error_name(PsErrorCode code);
const char *bus_error_name_of(const GError *error);
/* Sets RET from ERROR; returns a negative errno, as handlers must. */
int bus_error_set(sd_bus_error *ret, const GError *error);
