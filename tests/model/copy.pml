/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Copying while people write (daemon/engine/chunk.h, engine.md §1): chunks with their watermark, their H and their side queue, the
 * dispatcher's verdicts (apply.c), two apply workers with a checkpoint each (apply-worker.c), and a crash anywhere. Every key is a chunk of its
 * own. A transaction changes one key: its value counts the changes, so that an event that is applied twice, left out or out of order is seen at once.
 *
 * The keys are divided over the workers. Each commits what is in its queue in its own time, so one may be ahead of the other by any number of
 * transactions: behind a crash reading begins at the oldest checkpoint, and each is given only what is behind its own. When every table is copied and
 * every checkpoint is behind all of the copy that is written down, and no chunk is asked about any more (apply_all_live(), copied()).
 *
 * On the source a transaction is in the binary log before its row is visible, in the order of the log (binlog_order_commits); the copier's
 * watermark is such a transaction, which is why everything logged before it is visible once it is committed. tests/unit/test-model.c runs the
 * real chunk map through random histories; here all histories of a small one are looked at.
 *
 *   exact   an event finds the row in the state that it was logged for
 *   equal   in the end the destination is the source
 *
 * Each -DMISTAKE_… builds one mistake in, which must be found (tests/model/check). */

#define KEYS 2
#define WORKERS 2
#define EVENTS 3
#define CRASHES 1

/* the source */
byte logged, visible;      /* transactions in the binary log; those whose rows can be seen */
byte log_key[EVENTS];      /* which key transaction n (from 0) changed */
byte seen[KEYS];           /* the values that a SELECT sees */
byte last[KEYS];           /* the values behind the last logged transaction */

/* the destination: what is committed */
byte rows[KEYS];
bool copied[KEYS];         /* a chunk row, with its H */
byte h[KEYS];
byte checkpoint[WORKERS];  /* of this worker's transactions those up to here are done with */
bool live;                 /* the agent's, on disk: the chunks need not be known any more */

/* the agent's memory */
byte read;                 /* transactions that the reader has read */
byte dispatched;
byte queue[EVENTS];        /* transaction n (from 0) waits for worker queue[n] − 1; 0: for none */
bool in_flight[KEYS];
byte registered[KEYS];
bool h_known[KEYS];
byte h_seq[KEYS];
bool side_has[KEYS];
byte side[KEYS];           /* the side queue: its last image is all that counts */
byte generation;           /* of the agent: raised by a crash */
byte crashes;
#ifdef REACHED
bool were_apart;
#endif

/* the value of a key behind transaction n */
#define value_behind(m, k) (((m) > 0 && log_key[0] == (k)) + ((m) > 1 && log_key[1] == (k)) + ((m) > 2 && log_key[2] == (k)))

active proctype applications() {
        byte k;
end:    do
        :: atomic { logged < EVENTS ->
                    if :: k = 0 :: k = KEYS - 1 fi;
                    log_key[logged] = k; logged++; last[k]++; k = 0 }
        :: atomic { visible < logged -> seen[log_key[visible]]++; visible++ }
        od
}

active proctype reader() {
        byte k;
end:    do
        :: atomic { read < logged ->
                    k = log_key[read];
                    read++;
                    if
#ifndef MISTAKE_NO_SIDE_QUEUE
                    :: in_flight[k] && !h_known[k] -> side_has[k] = true; side[k] = value_behind(read, k)
#endif
                    :: else
                    fi;
                    k = 0 }
        od
}

#define register(k) in_flight[k] = true; registered[k] = read; h_known[k] = false; side_has[k] = false
#define GONE :: me != generation -> goto begin /* it is another copier's now */

active proctype copier() {
        byte k, value, position, me;
begin:  atomic { k = 0; value = 0; position = 0; me = generation }
        do
        GONE
        :: atomic { me == generation && k < KEYS && copied[k] -> k++ }
        :: atomic { me == generation && k < KEYS && !copied[k] ->
#ifndef MISTAKE_REGISTER_LATE
                    register(k);
#endif
                    position = logged }
                /* the watermark: committed behind all that was logged, so that all that is visible */
#ifndef MISTAKE_NO_PROOF
                if :: visible >= position GONE fi;
#endif
                if :: atomic { me == generation -> value = seen[k] } GONE fi;
#ifdef MISTAKE_REGISTER_LATE
                if :: atomic { me == generation -> register(k) } GONE fi;
#endif
                position = logged;
                if :: read >= position GONE fi;
                if
                :: atomic { me == generation ->
                            h_known[k] = true; h_seq[k] = read;
                            if :: side_has[k] -> value = side[k] :: else fi }
                GONE
                fi;
                if
                :: atomic { me == generation -> /* rows and chunk row commit together */
                            rows[k] = value; copied[k] = true; in_flight[k] = false;
#ifndef MISTAKE_FORGET_H
                            h[k] = h_seq[k]
#endif
                          }
                GONE
                fi
        :: k == KEYS && me == generation -> break
        od;
end:    me != generation -> goto begin
}

#define min(a, b) ((a) < (b) -> (a) : (b))
#define max(a, b) ((a) > (b) -> (a) : (b))
#define low_water min(checkpoint[0], checkpoint[1])

/* The dispatcher: dispatch_image(), chunk_map_judge(). What fits none of these waits. */
#define n (dispatched + 1)
#define key log_key[dispatched]
#define worker_of(k) ((k) % WORKERS)
#ifdef MISTAKE_DO_NOT_WAIT
#define drop_in_flight true
#else
#define drop_in_flight (n <= registered[key] || (h_known[key] && n <= h_seq[key]))
#endif
#ifdef MISTAKE_GIVE_AGAIN
#define has_it false
#else
#define has_it (n <= checkpoint[worker_of(key)])
#endif
#define drop (has_it || (!live && ((copied[key] && n <= h[key]) || (!copied[key] && (!in_flight[key] || drop_in_flight)))))
#define hand_over (!has_it && (live || (copied[key] && n > h[key])))
#define waits_for(w) (queue[0] == (w) + 1 || queue[1] == (w) + 1 || queue[2] == (w) + 1)
#define all_copied (copied[0] && copied[KEYS - 1])
#ifdef MISTAKE_LIVE_EARLY
#define behind_the_copy dispatched
#else
#define behind_the_copy low_water
#endif
#define finished (logged == EVENTS && visible == EVENTS && dispatched == EVENTS && all_copied && !waits_for(0) && !waits_for(1))

active proctype dispatcher() {
end:    do
        :: atomic { dispatched < read && drop -> dispatched++ }
#ifdef MISTAKE_ANY_WORKER
        :: atomic { dispatched < read && hand_over -> queue[dispatched] = 1; dispatched++ }
#endif
        :: atomic { dispatched < read && hand_over -> queue[dispatched] = worker_of(key) + 1; dispatched++ }
        :: atomic { !live && all_copied && behind_the_copy >= max(h[0], h[KEYS - 1]) -> live = true }
#ifdef REACHED /* the workers were apart when the crash came, one of them before the end of the copy */
        :: atomic { finished && were_apart && live -> assert(false) }
#endif
        :: atomic { finished -> assert(rows[0] == last[0] && rows[KEYS - 1] == last[KEYS - 1]); break }
        od
}

/* A worker: commit(). The checkpoint is committed with the rows; past what is not this worker's it moves at some later time. */
active [WORKERS] proctype worker() {
        byte e, w;
        w = _pid % WORKERS;
end:    do
        :: atomic { waits_for(w) ->
                    e = (queue[0] == w + 1 -> 0 : (queue[1] == w + 1 -> 1 : 2));
                    queue[e] = 0;
                    assert(rows[log_key[e]] == value_behind(e + 1, log_key[e]) - 1);
                    rows[log_key[e]]++;
#ifndef MISTAKE_CHECKPOINT_LATER
                    checkpoint[w] = e + 1;
#endif
                    e = 0 }
        :: atomic { !waits_for(w) && checkpoint[w] < dispatched -> checkpoint[w] = dispatched }
        od
}

/* The agent's memory is gone: chunks in flight vanish, reading begins at the checkpoint. */
active proctype trouble() {
        byte k;
end:    do
        :: atomic { crashes < CRASHES ->
                    crashes++; generation++;
#ifdef REACHED
                    were_apart = !live && all_copied && checkpoint[0] != checkpoint[1] && low_water < max(h[0], h[KEYS - 1]) && EVENTS > dispatched;
#endif
#ifdef MISTAKE_NEWEST_CHECKPOINT
                    read = max(checkpoint[0], checkpoint[1]);
#else
                    read = low_water;
#endif
                    dispatched = read; queue[0] = 0; queue[1] = 0; queue[2] = 0;
                    k = 0;
                    do
                    :: k < KEYS -> in_flight[k] = false; h_known[k] = false; side_has[k] = false; k++
                    :: k == KEYS -> break
                    od;
                    k = 0 }
        od
}
