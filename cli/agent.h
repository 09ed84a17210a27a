/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Without a desktop nobody answers polkit's question for a password; a text agent on the terminal then does.
 */

#include <sys/types.h>

typedef struct Client Client;

typedef struct Agent {
        pid_t pid;
} Agent;

#define AGENT_NONE ((Agent){ .pid = 0 })

/* Starts pkttyagent and waits until it has registered. Does nothing for root, without a terminal, with
 * --no-ask-password, and on a bus that has no polkit. A missing program is no error: the call then says who
 * is refused. */
void agent_open(Agent *agent, Client *client);
void agent_close(Agent *agent);
