/* SPDX-License-Identifier: Apache-2.0 */
/* Subtasks on one slot: root 1 drops child 2, child 2 drops grandchild 3, root drops a second child 4 too.
   Attempts of 1 may die once and adopt their children; taskd may die between any two
   steps; the owner may cancel the root. Rules, each left out by -DNO_…:
   GONE   `.wait` is answered by unlinking it, after a slot was given back (else: the parent wakes when NAME.end appears)
   SEQ    a drop is a numbered message, kept until acknowledged, before the parent's end in the same numbering
   KEEP   results of ended children are kept (journal tail, checkpoint) as long as the parent lives
   REDO   a failed child that a later attempt drops again runs again as its next generation
   REFUSE a child whose parent is ended or cancelled ends at once as cancelled
   COUNT  the parent's end is decided only when its process ended and every acknowledged drop has its end
   TELL   who sleeps the pool tells each taskd (else: the one that comes after a death never wakes it)
   Properties: no deadlock on one slot; a parent ends after its children; a cancelled tree starts nothing and ends; one end a
   generation; a retry can succeed. */
#define N 5
#define KIDS(p) (p == 1 -> 2 : (p == 2 -> 3 : 0))
byte par[N];                  /* parent of a task */
byte st[N];                   /* 0 absent 1 drop on its way 2 ready 3 running 4 waiting, no slot 5 woken 6 process ended 7 final */
byte res[N];                  /* 0 none 1 success 2 failure 3 cancelled */
byte stage[N];                /* of the process: 0 before the drops, 1 dropped, 2 waits, 3 goes on */
bit sent[N], forgotten[N];    /* a drop not yet acknowledged by taskd; an ended child of which no trace is left */
bit known[N];                 /* taskd knows that it sleeps */
byte used, retries, deaths, finals[N], fails, i;
bit cancelled, redo, calm;    /* calm: no more faults, so that what they would hide is seen */
#define OPEN(p) ((par[2] == p && st[2] && st[2] != 7) || (par[3] == p && st[3] && st[3] != 7) || (par[4] == p && st[4] && st[4] != 7))
#define ALLENDED(p) (!OPEN(p))
#define ANYENDED(p) ((par[2] == p && st[2] == 7) || (par[3] == p && st[3] == 7) || (par[4] == p && st[4] == 7))
#define ANYFAIL(p) ((par[2] == p && res[2] > 1) || (par[3] == p && res[3] > 1) || (par[4] == p && res[4] > 1))
#ifndef NO_COUNT
#define KIDSDONE(p) ALLENDED(p)
#else                         /* taskd counts the children that it has accepted */
#define KIDSDONE(p) !((par[2] == p && st[2] > 1 && st[2] != 7) || (par[3] == p && st[3] > 1 && st[3] != 7) || (par[4] == p && st[4] > 1 && st[4] != 7))
#endif
#define HASKIDS(p) (p == 1 || p == 2)
inline fin(t, r) { assert(!OPEN(t)); st[t] = 7; res[t] = r; finals[t]++; assert(finals[t] <= 1 + fails); }
inline drop(p, t) {
    par[t] = p;
    if :: st[t] == 0 || (st[t] == 7 && forgotten[t]) -> st[t] = 1; sent[t] = 1; res[t] = 0; stage[t] = 0
#ifndef NO_REDO
       :: st[t] == 7 && !forgotten[t] && res[t] == 2 && finals[t] <= fails -> st[t] = 1; sent[t] = 1; res[t] = 0; stage[t] = 0
#endif
       :: else -> skip fi }
inline task(t) {
    /* taskd accepts the drop */
    if
    :: d_step { st[t] == 1 && sent[t] -> sent[t] = 0;
#ifndef NO_REFUSE
        if :: cancelled || (par[t] && st[par[t]] == 7) -> st[t] = 6; fin(t, 3) :: else -> st[t] = 2 fi
#else
        st[t] = 2
#endif
      }
    :: d_step { st[t] == 2 && used < 1 -> assert(!cancelled); used++; st[t] = 3; stage[t] = 0 }
    :: d_step { st[t] == 5 && used < 1 -> used++; st[t] = 3; stage[t] = 3 }
    /* its process */
    :: d_step { st[t] == 3 && stage[t] == 0 && HASKIDS(t) -> stage[t] = 1; if :: t == 1 -> drop(1, 2); drop(1, 4) :: t == 2 -> drop(2, 3) :: else fi }
    :: d_step { st[t] == 3 && stage[t] == 1 -> stage[t] = 2; st[t] = 4; known[t] = 1; used-- }                     /* .wait */
    :: d_step { st[t] == 3 && stage[t] == 1 -> stage[t] = 3 }                                       /* does not wait */
#ifndef NO_GONE
    :: d_step { st[t] == 4 && known[t] && ALLENDED(t) -> st[t] = 5 }
#else
    /* one NAME.end appears: a slot comes back, but the process needs all of them and sleeps on */
    :: d_step { st[t] == 4 && ANYENDED(t) && used < 1 -> used++; st[t] = 3; stage[t] = 4 }
    :: d_step { st[t] == 3 && stage[t] == 4 && ALLENDED(t) -> stage[t] = 3 }
#endif
    :: d_step { st[t] == 3 && (stage[t] == 3 || !HASKIDS(t)) -> used--; st[t] = 6 }
    :: d_step { st[t] == 3 && t == 2 && stage[t] == 3 && fails < 1 && ALLENDED(t) -> used--; fails++; fin(t, 2) }   /* child fails once */
    :: d_step { st[t] == 6 && KIDSDONE(t) && !(t == 1 && ANYFAIL(t) && retries < 1 && !cancelled) -> fin(t, (cancelled -> 3 : (ANYFAIL(t) -> 2 : 1))) }
    fi
}
active proctype world() {
    st[1] = 2;
    do
    :: task(1) :: task(2) :: task(3) :: task(4)
    :: d_step { !calm -> calm = 1 }
    /* the root's attempt dies, or ended with a failed child: the next attempt */
    :: d_step { !calm && (st[1] == 3 || st[1] == 4 || st[1] == 5) && retries < 1 && !cancelled -> retries++; if :: st[1] == 3 -> used-- :: else fi; st[1] = 2; stage[1] = 0 }
    :: d_step { st[1] == 6 && ALLENDED(1) && ANYFAIL(1) && retries < 1 && !cancelled -> retries++; redo = 1; st[1] = 2; stage[1] = 0 }
    /* taskd dies: what is not acknowledged comes again, or is gone; what is not kept is forgotten */
    :: d_step { !calm && deaths < 1 -> deaths++; for (i : 2 .. 4) {
#ifdef NO_SEQ
        if :: sent[i] -> sent[i] = 0 :: else fi;
#endif
#ifdef NO_KEEP
        if :: st[i] == 7 && res[i] == 1 -> forgotten[i] = 1 :: else fi;
#endif
        skip };
#ifdef NO_TELL
        for (i : 1 .. 4) { known[i] = 0 };
#endif
        i = 0 }
    /* the owner cancels the root: its tree is killed; drops on their way arrive later */
    :: d_step { !calm && !cancelled && st[1] != 7 -> cancelled = 1;
        for (i : 1 .. 4) { if :: st[i] == 3 -> used--; st[i] = 6 :: st[i] == 2 || st[i] == 4 || st[i] == 5 -> st[i] = 6 :: else fi }; i = 0 }
    :: else -> break
    od;
    assert(used == 0);
    assert(st[1] == 7);
    assert((st[2] == 0 || st[2] == 7) && (st[3] == 0 || st[3] == 7) && (st[4] == 0 || st[4] == 7));
    assert(!redo || cancelled || res[1] == 1);      /* a retried parent can succeed when its child would */
}
