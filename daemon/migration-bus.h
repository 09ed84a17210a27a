/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* org.polarshift1.Migration: vtable, properties and their signals here, the methods in migration-methods.c. */

#include <systemd/sd-bus.h>

#include "migration.h"

/* Registers the vtable and the enumerator below MIGRATION_PREFIX. */
int migration_bus_register(Manager *manager);
/* Something may have changed: what really did is told at idle priority. */
void migration_bus_touch(Migration *migration);
void migration_bus_operation_finished(Migration *migration);
/* Its engine has ended: folder and object go, and the call that waits for it is answered. */
void migration_bus_finish_removal(Migration *migration);
void migration_shown_free(MigrationShown *shown);
/* Names of the methods that may be called now; static strings up to a NULL. */
#define MIGRATION_ACTIONS_MAX 32
void migration_allowed_actions(const Migration *migration, const char *ret[MIGRATION_ACTIONS_MAX]);

/* migration-methods.c */
int method_check(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_get_checks(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_start(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_pause(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_resume(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_verify(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_repair(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_plan(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_get_plan(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_switch(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_confirm(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_rollback(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_complete(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_abort(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_acknowledge(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_set_limits(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_set_endpoint(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_get_report(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_get_history(sd_bus_message *message, void *userdata, sd_bus_error *error);
int method_remove(sd_bus_message *message, void *userdata, sd_bus_error *error);
