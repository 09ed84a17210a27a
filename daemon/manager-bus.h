/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* org.polarshift1.Manager, and the ObjectManager beside it. */

#include "manager.h"

int manager_bus_register(Manager *manager);

/* credential-call.c: the methods about credentials. */
int method_set_credential(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_remove_credential(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_list_credentials(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* DATA of an AGENT_MESSAGE_CREDENTIAL: a descriptor was read. */
void credential_call_take(Manager *manager, gpointer data);
