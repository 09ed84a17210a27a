/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The switch protocol (HACKING.md, daemon/engine/switchover.c), there and back: one side takes writes (the writer), the other one is to take
 * them (the reader). Applications write on whichever side lets them, with a transaction open across the fence and a session that read_only
 * does not stop. Agent, servers and network fail at any place: the agent's memory is gone and its journal stays; a server forgets read_only
 * unless its configuration says it; a statement's outcome is unknown, and it may take effect later, for as long as its session lives.
 *
 * Switch and Rollback are the same protocol with the sides exchanged, and here the same text. The agent carries out OPERATIONS of them: a
 * Switch and a Rollback, or two tries of a Switch when the first was undone. Between them it keeps the stream running, as the journal says.
 *
 * A transaction is a number, in the order in which clients were told that it is done; a side's rows are the transactions 1 … has. A side's
 * log holds what a stream from it sends: transactions of applications, and what the flip made (0), which nobody may send. What the agent
 * applies is in the log as well, but never sent on, and so is left out.
 *
 *   owner   only the side that the last owner row names may accept writes, so never both (invariant 1)
 *   both    the same as a formula: [] !(accepts(A) && accepts(B))
 *   lost    a side that takes writes has every transaction that either side acknowledged (2): when it is opened, and whenever it takes one
 *   once    a transaction is applied once, in order, and never on top of another one (3); by the stream back, too, so that there is a way back (5)
 *   ends    in the end exactly one side takes writes, and the agent has come to an end
 *   back    when a server is lost for good in the middle, the other one takes writes in the end, unless it is the lost one that has to be asked
 *
 * The fence outlives a restart, as a durable fence does. With -DFORGETFUL it does not (MySQL 5.6 without the configuration line): then
 * the second look and the owner row are one step, and a restart of the old side behind it is left out; that gap is what check fence-durable names.
 *
 * With -DSTANDBY=A or B that side has a standby, which copies it now and then and may take its place once, with what it has by then (failover.c).
 * Whoever promotes it opens it only when that side takes writes; as with FORGETFUL, and for the same reason, not between the look and the owner row.
 *
 * With -DAGENTS=2 the first agent stands still at some moment, wherever it is, and a second one is started with a copy of its state (control.c). The
 * servers end the first one's sessions. The second one carries out what is asked, and is stopped; then, or earlier, the first one goes on with what it
 * was doing, and is asked for nothing else. Each process signs both owner rows before its stream runs, and one that finds another's name there since does
 * nothing any more.
 *
 * Each -DMISTAKE_… builds one mistake in, which must be found (tests/model/check). */

#define A 0
#define B 1
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#ifndef WRITES
#define WRITES 3 /* of applications */
#endif
#ifndef FAULTS
#define FAULTS 2 /* crashes of the agent and of servers, and statements without an answer, together */
#endif
#ifndef AGENTS
#define AGENTS 1
#endif
#define LOG 8 /* entries at most */

#define IDLE 0
#define FENCE 1
#define END_POSITION 2
#define DRAIN 3
#define EPOCH 4
#define FLIP 5
#define REVERSE_START 6
#define COMMIT 7
#define RELEASE 8

/* the servers */
bool up[2];
bool read_only[2];
bool configured[2];      /* the fence that outlives a restart */
byte boots[2];
byte history;            /* transactions that were acknowledged */
byte has[2];
byte log[2 * LOG], log_end[2];
byte row[2], row_epoch[2]; /* the owner row: who takes writes */
byte checkpoint[2], checkpoint_leg[2], checkpoint_epoch[2]; /* what was applied there in this leg: so many entries behind its start */

/* sessions on the servers */
bool open_plain[2];      /* a transaction, begun before the fence: read_only refuses its COMMIT */
bool open_privileged[2]; /* one that read_only does not stop */
byte orphan[2];          /* the owner row's commit that got no answer, by its epoch: its session holds the lock there */
bool batch[2];           /* transactions of an apply worker: the link's, and one that an earlier link left behind */
byte batch_on[2], batch_seq[2], batch_epoch[2], batch_what[2];

/* an agent: what is on disk, … */
typedef Agent {
        byte step_, writer_, epoch_, leg_, leg_start_, reverse_start_;
        byte left_with_;  /* the end position of the side that was left: what it had to have there */
        byte operations_;
        /* … and what is not */
        byte link_;       /* the epoch that it was started with; 0: none runs */
        byte id_;         /* of the process */
        bool signed_[2];  /* the owner rows that it wrote: since then nobody else may have, … */
        byte before_[2];  /* … and whose they were before: a server may lose the end of what it had */
        bool crash_, ended_
};
Agent agents[AGENTS];
#define step agents[me].step_
#define writer agents[me].writer_
#define epoch agents[me].epoch_
#define leg agents[me].leg_
#define leg_start agents[me].leg_start_
#define reverse_start agents[me].reverse_start_
#define left_with agents[me].left_with_
#define operations agents[me].operations_
#define link agents[me].link_
#define id agents[me].id_
#define signs agents[me].signed_
#define before agents[me].before_
#define crash agents[me].crash_
#define ended agents[me].ended_

byte owner = A;          /* who was given the owner row last */
byte faults, writes;

#if AGENTS > 1
byte lock[2];            /* whose control connection holds it: 1, 2 */
bool still;              /* the first agent stands still */
byte row_agent[2];       /* who wrote the owner row */
#define sign(s, m) row_agent[s] = m
#define own(s) row_epoch[s] = epoch; sign(s, id); signs[s] = true /* control_own() */
byte processes = 2;
#define SIGNS_NOTHING processes++; id = processes; signs[A] = false; signs[B] = false; before[A] = 0; before[B] = 0;
#define epoch_of(o) ((o) % 16)
#define agent_of(o) ((o) / 16)
#define own_commit (epoch + 16 * id)
#define stands_still(m) ((m) == 0 && still)
#else
#define sign(s, m) skip
#define own(s) row_epoch[s] = epoch
#define SIGNS_NOTHING
#define epoch_of(o) (o)
#define agent_of(o) 0
#define own_commit epoch
#endif

#ifdef STANDBY
/* what it has copied; whether it has taken over; whether the agent has accepted it */
byte kept_has, kept_log_end, kept_row, kept_row_epoch, kept_checkpoint, kept_checkpoint_leg, kept_checkpoint_epoch;
bool promoted, known = true;
bool link_is_old;        /* it read from the server that was lost */
byte relayed;            /* what it had read there */
bool batch_is_old[2];    /* what is not on the standby */
bool parted;             /* the reader has a transaction that the promoted writer has not */
#define is_known(s) (known || (s) != STANDBY)
#ifdef MISTAKE_GO_ON_ELSEWHERE
#define is_another false
#else
#define is_another (promoted && !was_promoted)
#endif
#else
#define is_known(s) true
#define is_another false
#define parted false
#endif

#define other(s) (1 - (s))
#define reader other(writer)
#define accepts(s) (up[s] && !read_only[s])
#define batch_at(s) ((batch[0] && batch_on[0] == (s)) || (batch[1] && batch_on[1] == (s)))

#ifdef BOTH /* the formula says it alone */
inline only_the_owner() { skip }
#else
inline only_the_owner() { assert(!accepts(other(owner))) }
#endif

#ifdef STANDBY
#define to_read (link_is_old -> kept_log_end : log_end[writer])
#define can_apply (known || (writer == STANDBY && link_is_old))
#else
#define to_read log_end[writer]
#define can_apply true
#endif

inline log_add(s, what) { assert(log_end[s] < LOG); log[(s) * LOG + log_end[s]] = what; log_end[s]++ }
inline acknowledge(s) { assert(has[s] == history); history++; has[s] = history; log_add(s, history) }

proctype applications(byte s) {
end:    do
        :: atomic { accepts(s) && writes < WRITES -> writes++; acknowledge(s) }
        :: atomic { accepts(s) && writes < WRITES && !open_plain[s] -> writes++; open_plain[s] = true }
        :: atomic { accepts(s) && writes < WRITES && !open_privileged[s] -> writes++; open_privileged[s] = true }
        :: atomic { open_plain[s] -> open_plain[s] = false; if :: read_only[s] :: else -> acknowledge(s) fi }
        :: atomic { open_privileged[s] -> open_privileged[s] = false; acknowledge(s) }
        od
}

inline forget_batch(w) {
        batch[w] = false; batch_on[w] = 0; batch_seq[w] = 0; batch_epoch[w] = 0; batch_what[w] = 0;
#ifdef STANDBY
        batch_is_old[w] = false
#endif
}

#define next_place (leg_start + checkpoint[reader])

/* Replication from the writer to the reader: apply-worker.c, commit_once(). */
proctype appliers(byte me) {
        byte w;
end:    do
        :: atomic { link && up[A] && up[B] && can_apply && next_place < to_read && !(batch[0] && batch[1]) ->
                    w = (batch[0] -> 1 : 0);
                    batch[w] = true; batch_on[w] = reader; batch_seq[w] = checkpoint[reader]; batch_epoch[w] = link;
                    batch_what[w] = log[writer * LOG + next_place];
                    w = 0 }
#ifdef STANDBY
        :: atomic { link && up[reader] && link_is_old && next_place >= kept_log_end && has[reader] < relayed && !(batch[0] && batch[1]) ->
                    w = (batch[0] -> 1 : 0);
                    batch[w] = true; batch_on[w] = reader; batch_seq[w] = checkpoint[reader]; batch_epoch[w] = link;
                    batch_what[w] = has[reader] + 1; batch_is_old[w] = true;
                    w = 0 }
#endif
        :: atomic { batch[0] -> w = 0; commit_batch:
                    if
#ifndef MISTAKE_NO_COMPARE
                    :: batch_seq[w] != checkpoint[batch_on[w]] || batch_epoch[w] != checkpoint_epoch[batch_on[w]]
#endif
                    :: else ->
                            assert(batch_what[w] == has[batch_on[w]] + 1);
#ifdef STANDBY
                            assert(!parted || batch_is_old[w]);
                            parted = parted || batch_is_old[w];
#endif
                            has[batch_on[w]]++; checkpoint[batch_on[w]]++
                    fi;
                    forget_batch(w); w = 0 }
        :: atomic { batch[1] -> w = 1; goto commit_batch }
        od
}

inline lose_sessions(s) {
        open_plain[s] = false; open_privileged[s] = false; orphan[s] = 0;
#if AGENTS > 1
        lock[s] = 0;
#endif
        if :: batch[0] && batch_on[0] == (s) -> forget_batch(0) :: else fi;
        if :: batch[1] && batch_on[1] == (s) -> forget_batch(1) :: else fi
}

inline give_row(s, by) { row[s] = s; row_epoch[s] = epoch_of(by); sign(s, agent_of(by)); owner = s; only_the_owner() }

#if defined(FORGETFUL) || defined(STANDBY)
#define LOOK_AND_ROW_ARE_ONE
#endif
#ifdef FORGETFUL
#define may_start(s) (!orphan[other(s)])
#define closed_at_start(s) (owner != (s))
#else
#define may_start(s) true
#define closed_at_start(s) configured[s]
#endif

proctype trouble(byte s; byte me) {
end:    do
        :: atomic { faults < FAULTS && (s == A || me > 0) && !ended && !crash -> faults++; crash = true }
        :: atomic { faults < FAULTS && up[s] -> faults++; up[s] = false; lose_sessions(s) }
#ifdef GONE
        :: atomic { s != GONE && !up[s] && may_start(s) -> up[s] = true; boots[s]++; read_only[s] = closed_at_start(s); only_the_owner() }
#else
        :: atomic { !up[s] && may_start(s) -> up[s] = true; boots[s]++; read_only[s] = closed_at_start(s); only_the_owner() }
#endif
        :: atomic { orphan[s] -> give_row(s, orphan[s]); orphan[s] = 0 }
        :: atomic { orphan[s] -> orphan[s] = 0 }
        od
}

#if AGENTS > 1
#define has_lock(s) (lock[s] == me + 1)
inline lose_lock(s) { lock[s] = 0 }
#ifdef MISTAKE_NOT_ASKED
#define may_own(s) true
#else
#ifdef MISTAKE_ANY_NAME
#define is_anothers(s) false
#else
#define is_anothers(s) (signs[s] && row_agent[s] != id && row_agent[s] != before[s])
#endif
#define may_own(s) (row_epoch[s] <= epoch && (step != IDLE || row[s] == writer) && !is_anothers(s)) /* check_owner() */
#endif

inline look_at_name(s) {
        if
        :: !signs[s] -> before[s] = row_agent[s]
        :: else
        fi
}

/* control_acquire() */
proctype connections(byte me) {
end:    do
        :: atomic { !stands_still(me) && epoch && up[A] && !lock[A] && !orphan[A] && may_own(A) -> lock[A] = me + 1; look_at_name(A) }
        :: atomic { !stands_still(me) && epoch && up[B] && !lock[B] && !orphan[B] && may_own(B) -> lock[B] = me + 1; look_at_name(B) }
        od
}

/* The first agent stands still, and meanwhile another one is started with a copy of its state. The server ends sessions that say nothing. */
proctype host() {
end:    do
        :: atomic { !agents[1].epoch_ && !agents[0].ended_ ->
                    still = true;
                    agents[1].step_ = agents[0].step_; agents[1].writer_ = agents[0].writer_; agents[1].epoch_ = agents[0].epoch_;
                    agents[1].leg_ = agents[0].leg_; agents[1].leg_start_ = agents[0].leg_start_; agents[1].reverse_start_ = agents[0].reverse_start_;
                    agents[1].left_with_ = agents[0].left_with_; agents[1].operations_ = agents[0].operations_ }
        :: atomic { still && lock[A] == 1 -> lock[A] = 0 }
        :: atomic { still && lock[B] == 1 -> lock[B] = 0 }
        :: atomic { still && (lock[A] == 2 || lock[B] == 2) -> still = false }
        :: atomic { agents[1].ended_ && lock[A] == 2 -> lock[A] = 0 } /* it is stopped */
        :: atomic { agents[1].ended_ && lock[B] == 2 -> lock[B] = 0 }
        od
}
#define LOSE_LOCKS if :: lock[A] == me + 1 -> lock[A] = 0 :: else fi; if :: lock[B] == me + 1 -> lock[B] = 0 :: else fi;
#define may_be_asked (me == 1 || !agents[1].epoch_) /* nobody asks the stale one for anything new */
#define goes_on provided (!still || _pid != FIRST_AGENT)
#define FIRST_AGENT 1
#else
#define has_lock(s) true
inline lose_lock(s) { skip }
#define LOSE_LOCKS
#define goes_on
#define may_be_asked true
#endif

/* A control connection (control.c) has to wait until an orphaned session of ours is gone: it holds the lock. */
#ifdef MISTAKE_NO_LOCK
#define control(s) (up[s] && is_known(s))
#else
#define control(s) (up[s] && is_known(s) && has_lock(s) && !orphan[s])
#endif
#define lost(s) (!up[s] || !is_known(s) || !has_lock(s))

inline open(s) { read_only[s] = false; configured[s] = false; only_the_owner(); assert(has[s] == history && !parted) }
inline shut(s) {
        read_only[s] = true;
#ifndef FORGETFUL
        configured[s] = true
#endif
}

/* ledger_raise_epoch(): never lowers it */
inline raise_epoch() {
        if
        :: checkpoint_epoch[reader] < epoch -> checkpoint_epoch[reader] = epoch
        :: else
        fi
}

/* An agent that wakes up may write them no more. */
#if AGENTS > 1
#define SAY_IT row[reader] = writer; own(reader)
#ifdef MISTAKE_SIGN_NOTHING
#define SIGN_BOTH skip
#else
#define SIGN_BOTH row[writer] = writer; own(writer); SAY_IT
#endif
#else
#define SAY_IT skip
#define SIGN_BOTH skip
#endif

/* prepare_servers(), start_link(): the reader is closed, both rows are signed; raising the epoch waits for transactions of orphaned sessions. */
#define may_link (control(writer) && control(reader) && !batch_at(reader) && checkpoint_leg[reader] == leg)
inline start_link() { shut(reader); raise_epoch(); link = epoch; SIGN_BOTH }
inline stop_link() {
        link = 0;
#ifdef STANDBY
        link_is_old = false; relayed = 0
#endif
}

#define row_is_there (row[reader] == reader && is_of_this_switch)
#ifdef MISTAKE_ANY_EPOCH
#define is_of_this_switch true
#else
#define is_of_this_switch (row_epoch[reader] == epoch)
#endif

#ifdef STANDBY
proctype standby(byte me) {
        byte i;
end:    do
        :: atomic { !promoted && up[STANDBY] ->
                    kept_has = has[STANDBY]; kept_log_end = log_end[STANDBY]; kept_row = row[STANDBY]; kept_row_epoch = row_epoch[STANDBY];
                    kept_checkpoint = checkpoint[STANDBY]; kept_checkpoint_leg = checkpoint_leg[STANDBY]; kept_checkpoint_epoch = checkpoint_epoch[STANDBY] }
        :: atomic { !promoted && faults < FAULTS && !orphan[other(STANDBY)] ->
                    faults++; promoted = true; known = false;
                    lose_sessions(STANDBY);
                    if
                    :: link && writer == STANDBY -> link_is_old = true; relayed = has[STANDBY]
                    :: else
                    fi;
                    batch_is_old[0] = batch[0] && batch_what[0] > kept_has;
                    batch_is_old[1] = batch[1] && batch_what[1] > kept_has;
                    if
                    :: owner == STANDBY && (kept_row != STANDBY || kept_row_epoch != row_epoch[STANDBY]) -> owner = other(STANDBY); history = has[owner]
                    :: owner == STANDBY && kept_row == STANDBY && kept_row_epoch == row_epoch[STANDBY] ->
                            history = kept_has; /* what it lost is lost, as clients of such servers have to know */
                            parted = has[other(STANDBY)] > kept_has
                    :: owner != STANDBY
                    fi;
                    i = kept_log_end;
                    do
                    :: i < log_end[STANDBY] -> log[STANDBY * LOG + i] = 0; i++
                    :: else -> break
                    od;
                    i = 0;
                    has[STANDBY] = kept_has; log_end[STANDBY] = kept_log_end; row[STANDBY] = kept_row; row_epoch[STANDBY] = kept_row_epoch;
                    checkpoint[STANDBY] = kept_checkpoint; checkpoint_leg[STANDBY] = kept_checkpoint_leg; checkpoint_epoch[STANDBY] = kept_checkpoint_epoch;
                    up[STANDBY] = true; boots[STANDBY]++;
                    read_only[STANDBY] = owner != STANDBY; configured[STANDBY] = owner != STANDBY;
                    kept_has = 0; kept_row = 0; kept_row_epoch = 0; kept_checkpoint = 0; kept_checkpoint_leg = 0; kept_checkpoint_epoch = 0;
                    only_the_owner() }
        od
}

/* failover_accept(): of the writer holds_ours(), when nobody can bring in more of what it lost; of the reader holds_copies(). Where it may be called
 * the agent tries until it works; when it is refused that is the end of it, until people come. */
#ifdef MISTAKE_ACCEPT_ANY
#define holds_ours true
#else
#define holds_ours (!parted)
#endif
#ifdef MISTAKE_ACCEPT_EARLY
#define nothing_under_way true
#else
#define nothing_under_way (!link && !batch_at(reader))
#endif
#ifdef MISTAKE_ACCEPT_SHORT
#define holds_copies true
#else
#define holds_copies (checkpoint_leg[reader] == leg || (step == RELEASE && has[reader] >= left_with))
#endif
#define is_ours(s) (step != IDLE || row[s] == writer) /* check_owner() */
#define WRITER_MAY_FAIL_OVER \
        :: atomic { !known && writer == STANDBY && link -> stop_link() } \
        :: atomic { !known && writer == STANDBY && up[STANDBY] && control(reader) && is_ours(writer) && row[writer] == writer && nothing_under_way && \
                    holds_ours -> known = true }
#define READER_MAY_FAIL_OVER \
        :: atomic { !known && reader == STANDBY && up[STANDBY] && is_ours(reader) && holds_copies -> known = true }
/* It is the writer already, as far as this process knows; the journal does not say so yet. */
#define MAY_FAIL_OVER_FORWARD \
        :: atomic { !known && reader == STANDBY && up[STANDBY] && row_is_there -> known = true }
#else
#define WRITER_MAY_FAIL_OVER
#define READER_MAY_FAIL_OVER
#define MAY_FAIL_OVER_FORWARD
#endif

/* Done; or there is no answer. */
inline write_row(s) {
        if
        :: give_row(s, own_commit)
        :: faults < FAULTS -> faults++; orphan[s] = own_commit; lose_lock(s)
        fi
}

#ifdef MISTAKE_RAISE_ONCE /* where what was applied ends, only: the side that is left knows nothing of it */
#define RAISE_AT_FENCE
#else
#define RAISE_AT_FENCE epoch++
#endif

#define silent (control(writer) && read_only[writer] && boots[writer] == boot_at && log_end[writer] == leg_start + end_at)

proctype agent(byte me) goes_on {
        byte end_at, boot_at; /* of the writer: its log behind the fence; its boot */
#ifdef STANDBY
        bool was_promoted;    /* when the reader was looked at for the switch */
#endif

begin:  {
#if AGENTS > 1
        epoch > 0;
#endif
        if /* engine_switch(): what the journal says; recover() */
        :: step == IDLE
        :: step >= FENCE && step < COMMIT -> goto undo
        :: step == COMMIT ->
                do /* ask_owner() */
                :: atomic { control(reader) && row_is_there } -> goto forward
#ifdef MISTAKE_LEAVE_NO_MARK
                :: atomic { control(reader) && !row_is_there } -> goto undo
#else
                :: atomic { control(reader) && !row_is_there -> SAY_IT } goto undo
#endif
#ifdef MISTAKE_GUESS
                :: !up[reader] -> goto undo
#endif
                READER_MAY_FAIL_OVER
                od
        :: step == RELEASE -> goto release
        fi;

rest:   /* engine_step(); the guard of a switch (do_guard()) wants the stream to run */
        do
        :: link && is_known(A) && is_known(B) -> break
        :: atomic { !link && may_link -> start_link() }
        WRITER_MAY_FAIL_OVER
        READER_MAY_FAIL_OVER
        od;
        if
        :: operations < OPERATIONS && may_be_asked
        :: operations == OPERATIONS || !may_be_asked -> goto done
        fi;

#ifdef STANDBY
        atomic { operations++; step = FENCE; was_promoted = promoted; RAISE_AT_FENCE }
#else
        atomic { operations++; step = FENCE; RAISE_AT_FENCE }
#endif
#if AGENTS > 1
        if
        :: atomic { control(writer) -> own(writer) }
        :: lost(writer) -> goto undo
        fi;
#endif
        if /* do_fence() */
        :: atomic { control(writer) -> shut(writer); boot_at = boots[writer] }
        :: lost(writer) -> goto undo
        fi;
#ifndef MISTAKE_NO_KILL
        if
        :: atomic { control(writer) -> open_plain[writer] = false; open_privileged[writer] = false }
        :: lost(writer) -> goto undo
        fi;
#endif
        step = END_POSITION;
        if /* do_end_position() */
        :: atomic { control(writer) -> end_at = log_end[writer] - leg_start; left_with = has[writer] }
        :: lost(writer) -> goto undo
        fi;
        step = DRAIN;
        if /* do_drain() */
#ifdef MISTAKE_NO_DRAIN
        :: true
#endif
        :: checkpoint[reader] >= end_at
        :: true -> goto undo /* the deadline, or Abort */
        fi;
        atomic { step = EPOCH; epoch++ }
        atomic { stop_link() }
        if /* do_epoch(), ledger_raise_epoch(): waits for transactions of orphaned sessions */
        :: atomic { control(reader) && !batch_at(reader) -> raise_epoch() }
        :: lost(reader) -> goto undo
        fi;
#ifdef MISTAKE_EARLY_START
        if :: atomic { up[reader] -> reverse_start = log_end[reader] } :: lost(reader) -> goto undo fi;
#endif
        step = FLIP;
        if /* do_flip(): triggers, for instance */
        :: atomic { control(reader) -> log_add(reader, 0) }
        :: lost(reader) -> goto undo
        fi;
        step = REVERSE_START;
#ifndef MISTAKE_EARLY_START
        if /* do_reverse_start() */
        :: atomic { control(reader) -> reverse_start = log_end[reader] }
        :: lost(reader) -> goto undo
        fi;
#endif
        step = COMMIT;
#ifdef MISTAKE_OPEN_FIRST
        if :: atomic { up[reader] -> read_only[reader] = false; only_the_owner() } :: lost(reader) -> goto undo fi;
#endif
look:   /* look_once_more(): closed, not restarted, silent. The row is not on the reader, and no session is left that could write it. */
        if
#ifdef MISTAKE_NO_SECOND_LOOK
        :: true
#endif
#ifdef LOOK_AND_ROW_ARE_ONE
        :: atomic { control(reader) && silent -> write_row(reader) } goto outcome
#else
        :: silent
#endif
        :: up[writer] && !silent -> goto undo
        :: lost(writer) -> goto undo
        :: lost(reader) -> goto undo
        :: true -> goto undo /* the deadline, or Abort: also when the reader has said that the row is not there */
        fi;
row_:   if /* commit_row() */
        :: atomic { control(reader) -> write_row(reader) }
        :: lost(reader)
        fi;
outcome: /* the reader says it, not what we were told */
        do
        :: atomic { control(reader) && row_is_there } -> goto forward
#ifdef MISTAKE_LOOK_ONCE
        :: atomic { control(reader) && !row_is_there } -> goto row_
#else
        :: atomic { control(reader) && !row_is_there && !is_another } -> goto look
#endif
        :: atomic { control(reader) && !row_is_there && is_another } -> goto undo /* the stream back would begin in another log */
        READER_MAY_FAIL_OVER
        od;

forward: /* commit_and_finish(): open_new_side(), take_over() */
        do
        :: atomic { control(reader) -> open(reader); break }
        MAY_FAIL_OVER_FORWARD
        od;
#ifdef MISTAKE_LATE_START
        atomic { up[reader] -> reverse_start = log_end[reader] }
#endif
        atomic { step = RELEASE; writer = reader; leg++; leg_start = reverse_start; reverse_start = 0; end_at = 0; boot_at = 0 }
release: /* finish_forward(): the side that was left is the reader now */
        do
        :: atomic { control(reader) -> shut(reader); break }
        WRITER_MAY_FAIL_OVER
        READER_MAY_FAIL_OVER
        od;
        do
        :: atomic { control(reader) && !batch_at(reader) ->
                    if /* ledger_begin_leg(), ledger_set_leg_start(): whatever is there stays */
#ifndef MISTAKE_BEGIN_AGAIN
                    :: checkpoint_leg[reader] == leg
#endif
                    :: else -> checkpoint_leg[reader] = leg; checkpoint[reader] = 0
                    fi;
                    raise_epoch(); row[reader] = writer; own(reader); break }
        WRITER_MAY_FAIL_OVER
        READER_MAY_FAIL_OVER
        od;
        do /* reverse_runs() */
        :: link && is_known(A) && is_known(B) -> break
        :: atomic { !link && may_link -> start_link() }
        WRITER_MAY_FAIL_OVER
        READER_MAY_FAIL_OVER
        od;
        atomic { step = IDLE; left_with = 0 }
        goto rest;

undo:   /* undo(): applications come first */
#ifdef MISTAKE_ASK_FIRST
        control(reader);
#endif
        do
        :: atomic { control(writer) -> open(writer); end_at = 0; boot_at = 0; reverse_start = 0 } break
#ifdef MISTAKE_UNDO_ONCE
        :: lost(writer) -> break
#endif
        WRITER_MAY_FAIL_OVER
        od;
#if AGENTS > 1
        if
        :: atomic { control(writer) -> own(writer) }
        :: lost(writer)
        fi;
#endif
        atomic { step = IDLE; left_with = 0 }
        goto rest
        } unless {
                atomic { crash -> crash = false; SIGNS_NOTHING LOSE_LOCKS stop_link(); end_at = 0; boot_at = 0;
                         if :: step < COMMIT -> reverse_start = 0 :: else fi } goto begin
        }
done:
#ifdef REACHED /* so that what holds does not hold for want of anything that happens */
#ifdef STANDBY
        assert(!(promoted && known && history == WRITES && faults == FAULTS && leg == OPERATIONS + 1));
#else
        assert(!(history == WRITES && faults == FAULTS && leg == OPERATIONS + 1));
#endif
#endif
        ended = true
}

init {
        atomic {
                up[A] = true; up[B] = true;
                read_only[B] = true;
                configured[B] = true;
                row_epoch[A] = 1; row_epoch[B] = 1;
                agents[0].epoch_ = 1; agents[0].leg_ = 1;
#if AGENTS > 1
                agents[0].id_ = 1; agents[1].id_ = 2;
#endif
                checkpoint_leg[B] = 1; checkpoint_epoch[B] = 1;
#if AGENTS > 1
                run agent(0); /* the first process: FIRST_AGENT */
                run agent(1);
                run connections(0);
                run connections(1);
                run host();
                run appliers(1);
#endif
                run applications(A);
                run applications(B);
                run appliers(0);
                run trouble(A, 0);
                run trouble(B, AGENTS - 1);
#ifdef STANDBY
                kept_row_epoch = 1; kept_checkpoint_leg = STANDBY; kept_checkpoint_epoch = STANDBY;
                run standby(0);
#endif
#if AGENTS == 1
                run agent(0)
#endif
        }
}

/* Formulas. Where nothing can happen any more spin's weak fairness sees no cycle, and nothing violated: so that something always can there is a clock. */
#if defined(ENDS) || defined(BACK)
active proctype clock() { do :: agents[0].step_ <= RELEASE od }
#endif
#ifdef ENDS
ltl ends { <>[] (agents[0].ended_ && (accepts(A) != accepts(B))) }
#endif
#ifdef BACK /* server GONE does not come back */
ltl back { <>[] (accepts(agents[0].writer_) || !up[agents[0].writer_] || agents[0].step_ == COMMIT) }
#endif
#ifdef BOTH
ltl both { [] !(accepts(A) && accepts(B)) }
#endif
