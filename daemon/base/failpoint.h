/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Places in the protocols where a test can hold the agent, to kill it, or a server, or to cut a cable, just there: before and after each
 * step of an operation. The agent that is installed gets the empty function of failpoint.c, so there is nothing to switch on; that of the
 * tests is linked from the same objects, with tests/faults/failpoint.c in its place. */

/* OPERATION "switch", STEP "fence", WHEN "before" or "after" (what the step did succeeded). */
void failpoint(const char *operation, const char *step, const char *when);
/* A limit that a test cannot wait for: USUAL, unless the test has set the one of this NAME. */
unsigned failpoint_limit(const char *name, unsigned usual);
