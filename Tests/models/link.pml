/* SPDX-License-Identifier: Apache-2.0 */
/* taskd and taskrun over a SEQPACKET socket: one task, one slot, attempts 1 to 3 (task-spool(7), "a plan in active/";
   taskd(8)). Faults: taskd dies (D times), taskrun dies (R times), taskrun execs a new self (X times).
   A dead peer's queued messages stay readable, as the kernel keeps them. Rules, each left out by -DNO_…:
   DRAIN   on a new connection the old one is read to its end first        MARK  nothing is lost or started before `slots N`
   ACK     an end is acknowledged only when its record is durable          EOF   lost after a death only when the socket is read out
   TABLE   a new self of taskrun gets the table of the old one             FREEZE  which reads nothing once the table is written
   Properties: never two attempts at once; `lost` only for what is dead; no end lost while taskrun lives; at rest every task
   has ended, and neither a slot nor an end is kept. */
#ifndef D
#define D 2
#endif
#ifndef R
#define R 1
#endif
#ifndef X
#define X 1
#endif
#ifndef NO_FREEZE
#define AWAKE (rup && !frozen)
#else
#define AWAKE rup
#endif
#ifndef NO_MARK
#define MARKED table
#else
#define MARKED 1
#endif
#ifndef NO_EOF
#define READ_OUT (len(r2d[c]) == 0)
#else
#define READ_OUT 1
#endif
#define N 4                      /* attempts are 1..3 */
mtype = { job, ack, running, fin, mark };
/* two connections: c is the current one, 1 - c an old one that may still hold unread job lines */
chan d2r[2] = [3] of { mtype, byte };
chan r2d[2] = [4] of { mtype, byte };
byte jstart[N], jend[N], jlost[N];       /* 0 no, 1 in taskd's memory, 2 written (survives taskd) */
byte rs[N];                              /* taskrun: 0 unknown, 1 runs, 2 ended and kept, 3 acknowledged */
byte att = 0;                            /* taskd: the last attempt it knows of */
bit seen[N];                             /* taskd: named in the table that it got */
bit tup, rup = 1, conn, table, hup;      /* hup: the peer is gone, the queue may not be empty */
byte kept[N], execs; bit frozen;           /* taskrun: its table on the way to its new self */
byte c, deaths_d, deaths_r, i, m, x;
bit done, calm;                          /* calm: no more deaths, so that what they would hide is seen */

inline alive_check() { assert(!(rs[1] == 1 && rs[2] == 1) && !(rs[2] == 1 && rs[3] == 1) && !(rs[1] == 1 && rs[3] == 1)) }
inline drop_memory() {
    for (i : 1 .. 3) { if :: jstart[i] == 1 -> jstart[i] = 0 :: else fi; if :: jend[i] == 1 -> jend[i] = 0 :: else fi;
        if :: jlost[i] == 1 -> jlost[i] = 0 :: else fi; seen[i] = 0 }
    att = 0;
}
inline empty_chan(q) { do :: q ? m, x :: empty(q) -> break od; m = 0; x = 0 }
inline take_run(q) { q ? job, x -> if :: rs[x] == 0 -> rs[x] = 1; alive_check() :: else fi; x = 0 }

active proctype world() {
    do
    :: d_step { !tup && deaths_d <= D -> tup = 1; conn = 0; table = 0; hup = 0;
        for (i : 1 .. 3) { if :: jstart[i] || jend[i] || jlost[i] -> att = i :: else fi }; i = 0 }
    /* taskd connects: taskrun answers with its table, then `slots N` as the end mark */
    :: d_step { tup && AWAKE && !conn && !hup && !done && empty(r2d[1 - c]) ->
#ifndef NO_DRAIN
        /* the old connection is read to its end first */
        do :: d2r[c] ? [job, _] -> take_run(d2r[c]) :: d2r[c] ? [ack, _] -> d2r[c] ? ack, x; if :: rs[x] == 2 -> rs[x] = 3 :: else fi; x = 0
           :: empty(d2r[c]) -> break od;
#endif
        c = 1 - c; empty_chan(r2d[c]); empty_chan(d2r[c]); conn = 1; table = 0;
        for (i : 1 .. 3) { seen[i] = 0 };
        for (i : 1 .. 3) { if :: rs[i] == 1 -> r2d[c] ! running, i :: rs[i] == 2 -> r2d[c] ! fin, i :: else fi };
        r2d[c] ! mark, 0; i = 0 }
    /* taskrun reads: the current connection, and what an old one still holds */
    :: d_step { AWAKE && d2r[c] ? [job, _] -> take_run(d2r[c]) }
    :: d_step { AWAKE && d2r[1 - c] ? [job, _] -> take_run(d2r[1 - c]) }
    :: d_step { AWAKE && d2r[c] ? [ack, _] -> d2r[c] ? ack, x; if :: rs[x] == 2 -> rs[x] = 3 :: else fi; x = 0 }
    :: d_step { AWAKE && d2r[1 - c] ? [ack, _] -> d2r[1 - c] ? ack, x; if :: rs[x] == 2 -> rs[x] = 3 :: else fi; x = 0 }
    :: d_step { AWAKE && rs[1] == 1 -> rs[1] = 2; if :: conn && len(r2d[c]) < 4 -> r2d[c] ! fin, 1 :: else fi }
    :: d_step { AWAKE && rs[2] == 1 -> rs[2] = 2; if :: conn && len(r2d[c]) < 4 -> r2d[c] ! fin, 2 :: else fi }
    :: d_step { AWAKE && rs[3] == 1 -> rs[3] = 2; if :: conn && len(r2d[c]) < 4 -> r2d[c] ! fin, 3 :: else fi }
    /* taskd reads */
    :: d_step { tup && (conn || hup) && nempty(r2d[c]) -> r2d[c] ? m, x;
        if :: m == running -> seen[x] = 1
           :: m == mark -> table = 1
           :: m == fin -> seen[x] = 1;
              if :: jend[x] == 0 -> assert(jlost[x] == 0); jend[x] = 1 :: else fi;
#ifdef NO_ACK
              if :: conn && len(d2r[c]) < 3 -> d2r[c] ! ack, x :: else fi
#else
              if :: conn && jend[x] == 2 && len(d2r[c]) < 3 -> d2r[c] ! ack, x :: else fi
#endif
        fi; m = 0; x = 0 }
    /* taskd: the group commit; acknowledgements after it */
    :: d_step { tup && (jstart[1] == 1 || jend[1] == 1 || jlost[1] == 1 || jstart[2] == 1 || jend[2] == 1 || jlost[2] == 1 || jstart[3] == 1 || jend[3] == 1 || jlost[3] == 1) ->
        for (i : 1 .. 3) { if :: jstart[i] == 1 -> jstart[i] = 2 :: else fi; if :: jlost[i] == 1 -> jlost[i] = 2 :: else fi;
            if :: jend[i] == 1 -> jend[i] = 2;
#ifndef NO_ACK
                  if :: conn && len(d2r[c]) < 3 -> d2r[c] ! ack, i :: else fi
#endif
               :: else fi }; i = 0 }
    /* taskd: an attempt that the table does not name, or whose taskrun is gone, is lost */
    :: d_step { tup && att > 0 && jstart[att] && !jend[att] && !jlost[att] && !seen[att] && conn && MARKED -> assert(rs[att] != 1 && rs[att] != 2); assert(rs[att] != 3); jlost[att] = 1 }
    :: d_step { tup && hup && att > 0 && jstart[att] && !jend[att] && !jlost[att] && READ_OUT -> jlost[att] = 1 }
    :: d_step { tup && hup && READ_OUT && (att == 0 || !jstart[att] || jend[att] || jlost[att]) -> hup = 0; empty_chan(r2d[c]); seen[1] = 0; seen[2] = 0; seen[3] = 0 }
    /* taskd: next attempt; the start is written before the job line goes out (the socket is no journal) */
    :: d_step { tup && conn && att < 3 && (att == 0 || jlost[att] == 2) && MARKED && len(d2r[c]) < 3 -> att++; jstart[att] = 2; seen[att] = 1; d2r[c] ! job, att }
    :: d_step { tup && att > 0 && jend[att] == 2 && !done -> done = 1 }
    /* faults */
    :: d_step { !calm -> calm = 1 }
    :: d_step { !calm && tup && deaths_d < D -> deaths_d++; tup = 0; conn = 0; hup = 0; table = 0; drop_memory(); empty_chan(r2d[c]) }
    :: d_step { !calm && rup && deaths_r < R -> deaths_r++; rup = 0; frozen = 0; if :: conn -> hup = 1 :: else fi; conn = 0; table = 0;
        for (i : 1 .. 3) { rs[i] = (rs[i] == 0 || rs[i] == 3 -> rs[i] : 4) }; i = 0; empty_chan(d2r[0]); empty_chan(d2r[1]) }
    :: d_step { !calm && rup && !frozen && execs < X -> execs++; frozen = 1; for (i : 1 .. 3) { kept[i] = rs[i] }; i = 0 }
    :: d_step { rup && frozen -> frozen = 0;
#ifdef NO_TABLE
        for (i : 1 .. 3) { rs[i] = 0 };
#else
        for (i : 1 .. 3) { rs[i] = kept[i] };
#endif
        for (i : 1 .. 3) { kept[i] = 0 }; i = 0 }
    :: d_step { !rup -> rup = 1 }      /* systemd or taskd starts the next; it empties left-over cgroups first */
    :: else -> break
    od;
    /* at rest: with attempts left, the task has ended, and its end was written once */
    assert(!tup || done || jlost[3]);
    assert(rs[1] != 1 && rs[2] != 1 && rs[3] != 1);
    assert(!tup || (rs[1] != 2 && rs[2] != 2 && rs[3] != 2));      /* no end kept for ever: slots and table do not leak */
}
