/* SPDX-License-Identifier: Apache-2.0 */
/* The detached pool of a spool without the root service: idle exit, its socket path, two taskd that each find no pool and start
   one (task-spool(7), run.sock and run.lock). Left out by -DNO_LOCK: one pool a spool by a lock held for life; the path is
   unlinked and bound only under it, and never unlinked at exit. Property: taskd never meets a pool that does not know a task
   that still runs in another. */
#define NP 3
byte path;                      /* which pool the path spool/run.sock leads to; 0: none */
byte st[NP + 1];                /* pool: 0 none, 1 starting, 2 bound, 3 listener closed, leaving, 4 gone */
bit task[NP + 1];               /* a task runs in it */
byte client;                    /* the pool that the living taskd is connected to */
byte np, lock, kills, i;
bit up, calm;
active proctype world() {
    do
    :: d_step { !up && kills <= 2 -> up = 1 }
    :: d_step { !calm && up && kills < 2 -> kills++; up = 0; client = 0 }
    :: d_step { up && !client && path && st[path] == 2 -> client = path }
    :: d_step { up && !client && (!path || st[path] != 2) && np < NP -> np++; st[np] = 1 }
    :: d_step { up && client && !task[1] && !task[2] && !task[3] -> task[client] = 1 }
    /* taskd takes what its pool does not name for lost and starts it again */
    :: d_step { up && client && !task[client] && (task[1] || task[2] || task[3]) -> assert(0) }
    :: d_step { st[1] == 1 -> i = 1; if
#ifndef NO_LOCK
        :: lock && lock != i -> st[i] = 4
#endif
        :: else -> lock = i; path = i; st[i] = 2 fi; i = 0 }
    :: d_step { st[2] == 1 -> i = 2; if
#ifndef NO_LOCK
        :: lock && lock != i -> st[i] = 4
#endif
        :: else -> lock = i; path = i; st[i] = 2 fi; i = 0 }
    :: d_step { st[3] == 1 -> i = 3; if
#ifndef NO_LOCK
        :: lock && lock != i -> st[i] = 4
#endif
        :: else -> lock = i; path = i; st[i] = 2 fi; i = 0 }
    :: d_step { st[1] == 2 && client != 1 && !task[1] -> st[1] = 3 }
    :: d_step { st[2] == 2 && client != 2 && !task[2] -> st[2] = 3 }
#ifndef NO_LOCK
    :: d_step { st[1] == 3 -> st[1] = 4; lock = 0 }
    :: d_step { st[2] == 3 -> st[2] = 4; lock = 0 }
#else
    :: d_step { st[1] == 3 -> st[1] = 4; path = 0 }     /* unlinks whatever is there now */
    :: d_step { st[2] == 3 -> st[2] = 4; path = 0 }
#endif
    :: d_step { client && task[client] -> task[client] = 0 }
    :: d_step { !calm -> calm = 1 }
    :: else -> break
    od;
    assert(!up || client || np == NP)
}
