/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* org.freedesktop.LogControl1: `systemctl service-log-level polarshiftd debug`. */

#include "manager.h"

int log_control_register(Manager *manager);
