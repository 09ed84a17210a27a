/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The switch protocol (HACKING.md, daemon/engine/switchover.c): A takes writes, B is to take them. Applications write on whichever side
 * lets them, with a transaction open across the fence and a session that read_only does not stop. Agent, servers and network fail at
 * any place: the agent's memory is gone and its journal stays; a server forgets read_only unless its configuration says it; a
 * statement's outcome is unknown, and it may take effect later, for as long as its session lives.
 *
 * Rollback is the same protocol with A and B exchanged, so one direction is enough.
 *
 * What must hold:
 *   both   at no moment do both sides accept writes, nor does A while the owner row says B
 *   lost   when B takes its first write, everything that A acknowledged is there
 *   once   a transaction of A is applied on B once, in order, and never on top of a write on B
 *   ends   in the end exactly one side takes writes, and the agent has come to an end
 *
 * The fence of A outlives a restart, as a durable fence does. With -DFORGETFUL it does not (MySQL 5.6 without the configuration line): then
 * the second look and the owner row are one step, and a restart of A behind it is left out; that gap is what check fence-durable names.
 * Each of the -DMISTAKE_… builds one mistake in, which must be found (tests/model/check). */

#define A 0
#define B 1
#define WRITES 2 /* of applications on A; one more on B */
#define FAULTS 2 /* crashes of the agent and of servers, and statements without an answer, together */

mtype = { guard, fence, end_position, drain, epoch, reverse_start, commit, release, reverse, idle };

/* the servers */
bool up[2] = true;
bool read_only[2];
bool configured[2];      /* the fence that outlives a restart */
byte boots;              /* of A */
byte logged, applied;    /* transactions of applications in A's log; those of them on B */
bool written;            /* an application wrote on B */
bool owner_b;            /* the owner row on B says that B takes writes */

/* sessions on the servers */
bool open_plain;         /* a transaction on A, begun before the fence: read_only refuses its COMMIT */
bool open_privileged;    /* one that read_only does not stop */
bool orphan;             /* the owner row's commit that got no answer: its session holds the lock on B */
bool batch[2];           /* transactions of an apply worker on B: the link's, and one that an earlier link left behind */
byte batch_seq[2];

/* the agent: what is on disk, and what is not */
mtype journal = guard;
bool link_runs = true;
bool crash;
bool ended;

byte faults, writes;

#define accepts(s) (up[s] && !read_only[s])
inline never_both() { assert(!(accepts(A) && (owner_b || accepts(B)))) }

proctype applications() {
end:    do
        :: atomic { accepts(A) && writes < WRITES -> writes++; logged++ }
        :: atomic { accepts(A) && writes < WRITES && !open_plain -> writes++; open_plain = true }
        :: atomic { accepts(A) && writes < WRITES && !open_privileged -> writes++; open_privileged = true }
        :: atomic { open_plain -> open_plain = false; if :: read_only[A] :: else -> logged++ fi }
        :: atomic { open_privileged -> open_privileged = false; logged++ }
        :: atomic { accepts(B) && !written -> written = true; assert(applied == logged) }
        od
}

/* Replication A → B. */
proctype appliers() {
        byte w;
end:    do
        :: atomic { link_runs && up[A] && up[B] && applied < logged && !(batch[0] && batch[1]) ->
                    w = (batch[0] -> 1 : 0); batch[w] = true; batch_seq[w] = applied }
        :: atomic { batch[0] -> w = 0; commit_batch: batch[w] = false;
                    if
#ifndef MISTAKE_NO_COMPARE
                    :: batch_seq[w] != applied
#endif
                    :: else -> assert(batch_seq[w] == applied && !written); applied++
                    fi }
        :: atomic { batch[1] -> w = 1; goto commit_batch }
        od
}

proctype trouble() {
end:    do
        :: atomic { faults < FAULTS && !ended && !crash -> faults++; crash = true }
        :: atomic { faults < FAULTS && up[A] -> faults++; up[A] = false; open_plain = false; open_privileged = false }
        :: atomic { faults < FAULTS && up[B] -> faults++; up[B] = false; batch[0] = false; batch[1] = false; orphan = false }
#ifdef FORGETFUL
        :: atomic { !up[A] && !orphan -> up[A] = true; boots++; read_only[A] = owner_b; never_both() }
#else
        :: atomic { !up[A] -> up[A] = true; boots++; read_only[A] = configured[A]; never_both() }
#endif
        :: atomic { !up[B] -> up[B] = true; read_only[B] = configured[B]; never_both() }
        :: atomic { orphan -> orphan = false; owner_b = true; never_both() }
        :: atomic { orphan -> orphan = false }
        od
}

#define CRASH if :: crash -> goto recover :: else fi
#define INTEND(what) CRASH; journal = what; CRASH

/* A control connection to B has to wait until an orphaned session of ours is gone: it holds the lock. */
#ifdef MISTAKE_NO_LOCK
#define control_b (up[B])
#else
#define control_b (up[B] && !orphan)
#endif

/* Done; or there is no answer. */
inline write_row() {
        if
        :: owner_b = true; never_both()
        :: faults < FAULTS -> faults++; orphan = true
        fi
}

#define silent (up[A] && read_only[A] && boots == boot_at && logged == end_at)

proctype agent() {
        byte end_at, boot_at;

        INTEND(fence);
        if
        :: atomic { up[A] -> read_only[A] = true; boot_at = boots;
#ifndef FORGETFUL
                    configured[A] = true
#endif
                  }
        :: !up[A] -> goto undo
        fi;
        CRASH;
#ifndef MISTAKE_NO_KILL
        if
        :: atomic { up[A] -> open_plain = false; open_privileged = false }
        :: !up[A] -> goto undo
        fi;
#endif
        INTEND(end_position);
        if
        :: atomic { up[A] -> end_at = logged }
        :: !up[A] -> goto undo
        fi;
        INTEND(drain);
        if
#ifdef MISTAKE_NO_DRAIN
        :: true
#endif
        :: applied >= end_at
        :: crash -> goto recover
        :: true -> goto undo /* the deadline, or Abort */
        fi;
        link_runs = false;
        INTEND(epoch);
        if
        :: control_b && !batch[0] && !batch[1] /* waits for transactions of orphaned sessions */
        :: crash -> goto recover
        :: !up[B] -> goto undo
        fi;
        INTEND(reverse_start);
        INTEND(commit);
#ifdef MISTAKE_OPEN_FIRST
        if :: up[B] -> read_only[B] = false :: !up[B] -> goto undo fi;
        CRASH;
#endif
look:   /* A once more: closed, not restarted, silent. The row is not on B, and no session is left that could write it. */
        if
#ifdef MISTAKE_NO_SECOND_LOOK
        :: true
#endif
#ifdef FORGETFUL
        :: atomic { control_b && silent -> write_row() } goto outcome
#else
        :: silent
#endif
        :: up[A] && !silent -> goto undo
        :: !up[A] -> goto undo
        :: !up[B] -> goto undo
        :: true -> goto undo /* the deadline, or Abort: also when B has said that the row is not there */
        :: crash -> goto recover
        fi;
row:    if
        :: atomic { control_b -> write_row() }
        :: !up[B]
        :: crash -> goto recover
        fi;
outcome: /* B says it, not what we were told */
        if
        :: control_b && owner_b -> goto forward
#ifdef MISTAKE_LOOK_ONCE
        :: control_b && !owner_b -> goto row
#else
        :: control_b && !owner_b -> goto look
#endif
        :: crash -> goto recover
        fi;

forward:
        if
        :: atomic { control_b -> read_only[B] = false; configured[B] = false; never_both() }
        :: crash -> goto recover
        fi;
        INTEND(release);
        if
        :: atomic { up[A] -> read_only[A] = true }
        :: crash -> goto recover
        fi;
        INTEND(reverse);
        goto finished;

undo:   if
        :: atomic { up[A] -> read_only[A] = false; configured[A] = false; never_both() }
        :: crash -> goto recover
        fi;
        INTEND(idle);
        goto finished;

recover:
        atomic { crash = false; link_runs = false }
        if
        :: journal == guard || journal == idle -> goto finished
        :: journal == fence || journal == end_position || journal == drain || journal == epoch || journal == reverse_start -> goto undo
        :: journal == release || journal == reverse -> goto forward
        :: journal == commit ->
                if
                :: atomic { control_b && owner_b } -> goto forward
                :: atomic { control_b && !owner_b } -> goto undo
#ifdef MISTAKE_GUESS
                :: !up[B] -> goto undo
#endif
                :: crash -> goto recover
                fi
        fi;
finished:
        ended = true
}

init {
        atomic {
                read_only[B] = true;
                configured[B] = true;
                run applications();
                run appliers();
                run trouble();
                run agent()
        }
}

#ifdef ENDS
ltl ends { <>[] (ended && (accepts(A) != accepts(B))) }
#endif
