// SPDX-License-Identifier: Apache-2.0
// Acceptance and end of runs: steps 1 to 6 of task-spool(7), its table of states (tmp/ID@NAME, torn and
// lost plans, an end in the journal, what a power failure brings back into incoming/), checkpoint, cron.
// Faults: kill -9 of taskd between any two operations, power failure, both in recovery too; a full disk.
// usage: spool [-k mv|submit|cron] [-n DROPS] [-K kills] [-P power failures] [-E full] [-r] [-c] [-s] [-b] [-j] [-x RULE]... [-1]
//   -r reorder (any subset of un-synced renames survives; default: a prefix, as with ext4 or XFS)   -c checkpoints
//   -s the second drop has inode number and mtime of the first (cp -p, inode reused)  -b large plan (not in accept)
//   -j a drop is bad   -E steps 2 or 3 fail so often   -l STATES a limit   -1 stop at the first violation
//   -x RULE leaves a rule out. Each is a sentence of task-spool(7), and without it a property breaks:
//   name    tmp/ID@NAME: a taken drop keeps its name            valid   a plan without a durable accept does not free the drop
//   oldseg  start-up syncs the segments that it replays         dirs    start-up syncs incoming/, tmp/, state directories first
//   key     a drop is known again by inode, mtime and ctime     endany  an end in the journal settles the plan wherever it lies
//   pos     the checkpoint stops before an unfinished step      plan    the checkpoint syncs live plans that only their accept holds
//   ckin    the checkpoint syncs incoming/ and tmp/ too         big     a large plan is in ready/ durably before its accept
//   fail    what goes to failed/ is synced first                rej     reject is durable before the file goes to rejected/
//   back    a drop whose plan could not be written goes back    undo    its plan is taken out of ready/ before that
#include <stdint.h>
enum { FX_NAME, FX_VALID, FX_OLDSEG, FX_KEY, FX_DIRS, FX_POS, FX_PLAN, FX_CKIN, FX_ENDANY, FX_BIG, FX_FAIL, FX_REJ, FX_BACK, FX_UNDO, FX_N };
static const char *fx_name[] = {"name", "valid", "oldseg", "key", "dirs", "pos", "plan", "ckin", "endany", "big", "fail", "rej", "back", "undo"};
enum { KMV, KSUBMIT, KCRON };
enum { NID = 3, ND = 2, MAXOP = 14, MAXREC = 12 };
enum { OUT0, OUT1, IN0, IN1, T_IN, T_PL = T_IN + NID, RD = T_PL + NID, AC = RD + NID, FA = AC + NID, RJ = FA + NID, NE = RJ + NID, NONE = 255 };
enum { ACCEPT = 1, START, END_OK, END_FAIL, REJECT };
enum { MEM, WRITTEN, SYNCED };
typedef struct { uint8_t verb, id, drop, level, seg, late; } Rec;   // late: written by recovery, after taskd's own rename changed the ctime
typedef struct {
    uint8_t v[NE], d[NE];                  // entries as seen, as on disk
    struct { uint8_t src, dst, ino; } op[MAXOP];
    uint8_t nop, cont[8];                  // cont: 0 none 1 cached 2 durable 3 torn; inodes 1,2 drops, 3.. plans
    Rec rec[MAXREC];
    uint8_t nrec, seg, ckv, ckd, cronv, crond;
    uint8_t up;                            // 0 down 1 recovering: sync 2 recovering: rules 3 running
    uint8_t st[NID], att[NID];             // taskd's memory; taskrun: 1 runs 2 ended ok 3 ended failed
    uint8_t dof[NID], fired, moved, acked, owed, replaced, dead, nid, kills, powers, full, back;
} S;
#include "explore.h"
static int fix[FX_N], kind, ndrops = 1, reorder, ckpt, samekey, big, badd, maxk = 1, maxp = 1, maxe;

static int in_dir(uint8_t e, int what) {   // what 0: state directories, 1: incoming and tmp
    if (e == NONE) return 0;
    return what ? (e >= IN0 && e < RD) : (e >= RD && e < RJ);
}
static void apply_disk(S *s, int k) {
    uint8_t src = s->op[k].src, dst = s->op[k].dst, ino = s->op[k].ino;
    if (src != NONE) { if (s->d[src] != ino) return; s->d[src] = 0; }
    if (dst != NONE) s->d[dst] = ino;
}
static void drop_op(S *s, int k) {
    memmove(&s->op[k], &s->op[k + 1], (size_t)(s->nop - k - 1) * sizeof s->op[0]);
    s->nop--;
    memset(&s->op[s->nop], 0, sizeof s->op[0]);
}
static void fs(S *s, uint8_t src, uint8_t dst, uint8_t ino) {
    if (s->nop == MAXOP) { apply_disk(s, 0); drop_op(s, 0); }
    if (src != NONE) { ino = s->v[src]; s->v[src] = 0; }
    if (dst != NONE) s->v[dst] = ino;
    s->op[s->nop].src = src; s->op[s->nop].dst = dst; s->op[s->nop].ino = ino; s->nop++;
}
static void flush(S *s, int state_dirs, int other_dirs) {
    if (!reorder) { while (s->nop) { apply_disk(s, 0); drop_op(s, 0); } return; }
    for (int k = 0; k < s->nop;) {
        int hit = (state_dirs && (in_dir(s->op[k].src, 0) || in_dir(s->op[k].dst, 0))) || (other_dirs && (in_dir(s->op[k].src, 1) || in_dir(s->op[k].dst, 1)));
        for (int m = k + 1; m < s->nop && !hit; m++)   // what a later flushed operation stands on
            if (s->op[m].ino == s->op[k].ino) hit = (state_dirs && (in_dir(s->op[m].src, 0) || in_dir(s->op[m].dst, 0))) || (other_dirs && (in_dir(s->op[m].src, 1) || in_dir(s->op[m].dst, 1)));
        if (hit) { apply_disk(s, k); drop_op(s, k); } else k++;
    }
}
static int rec_at(const S *s, int from, int verb, int id) {   // index + 1, ends: any end
    for (int i = from; i < s->nrec; i++)
        if (s->rec[i].id == id && (s->rec[i].verb == verb || (verb == END_OK && s->rec[i].verb == END_FAIL))) return i + 1;
    return 0;
}
static int level(const S *s, int verb, int id) {
    int best = -1;
    for (int i = 0; i < s->nrec; i++)
        if (s->rec[i].id == id && (s->rec[i].verb == verb || (verb == END_OK && s->rec[i].verb == END_FAIL)) && s->rec[i].level > best) best = s->rec[i].level;
    return best;
}
static void log_(S *s, int verb, int id) {
    if (s->nrec == MAXREC) { bad("model: journal too short"); return; }
    Rec r = {(uint8_t)verb, (uint8_t)id, s->dof[id], MEM, s->seg, kind == KMV && s->up == 2};
    s->rec[s->nrec++] = r;
}
static int valid(const S *s, int e) { return s->v[e] && s->cont[s->v[e]] != 3; }
static int plan_at(const S *s, int i) { return valid(s, RD + i) ? RD + i : valid(s, AC + i) ? AC + i : valid(s, FA + i) ? FA + i : NONE; }
static void new_plan(S *s, int i) { s->cont[3 + i] = big ? 2 : 1; }
static void acks(S *s) {
    for (int i = 0; i < s->nrec; i++)
        if (s->rec[i].verb == ACCEPT && s->rec[i].level == SYNCED && kind != KSUBMIT) s->acked |= 1 << s->rec[i].drop;
}
static int drop_bad(const S *s, int d) { return (badd && d == 0) || s->cont[d + 1] == 3; }

static void at_rest(const S *s) {
    for (int d = 0; d < ndrops; d++) {
        int done = 0, accepted = 0;
        for (int i = 0; i < NID; i++) {
            int mine = 0;
            for (int k = 0; k < s->nrec; k++) {
                const Rec *r = &s->rec[k];
                if (r->drop != d || r->id != i || r->level != SYNCED) continue;
                if (r->verb == ACCEPT) mine = 1;
                if (r->verb == END_OK || r->verb == END_FAIL || r->verb == REJECT) done = 1;
            }
            accepted += mine;
        }
        int parked = 0;
        for (int i = 0; i < NID; i++) parked |= s->v[RJ + i] == d + 1;
        if (parked && !done) bad("O6: a file in rejected/ has no durable reject");
        else if ((s->acked >> d & 1) && !done) bad("P1: an acknowledged drop is lost");
        else if ((s->owed >> d & 1) && !(s->replaced >> d & 1) && !done) bad("a drop that lay in incoming/ is lost");
        if (accepted > 1) bad("one drop is accepted under two ids");
    }
    for (int e = IN0; e < FA; e++) if (s->v[e]) bad(s->cont[s->v[e]] == 3 ? "a torn file is left for ever" : "a file is left for ever");
    for (int i = 0; i < NID; i++) if (s->v[FA + i] && s->cont[s->v[FA + i]] == 3) bad("failed/ holds a torn plan");
}

static void power(const S *s0) {
    int masks = reorder ? 1 << s0->nop : s0->nop + 1;
    if (reorder && s0->nop > 7) masks = 128;   // the oldest seven are free, later ones lost with them or kept
    for (int m = 0; m < masks; m++) {
        S s = *s0;
        for (int k = 0; k < s.nop; k++)
            if (reorder ? (k < 7 ? m >> k & 1 : m & 1) : k < m) apply_disk(&s, k);
        memcpy(s.v, s.d, sizeof s.v);
        memset(s.op, 0, sizeof s.op);
        s.nop = 0;
        memset(s.st, 0, sizeof s.st); memset(s.att, 0, sizeof s.att);
        s.up = 0; s.powers++; s.fired = 0; s.dead |= s.moved & ~s.acked;
        int seglo[4], seghi[4];
        for (int g = 0; g < 4; g++) {
            seglo[g] = 0; seghi[g] = 0;
            for (int k = 0; k < s.nrec; k++) if (s.rec[k].seg == g) { if (s.rec[k].level == SYNCED) seglo[g]++; if (s.rec[k].level >= WRITTEN) seghi[g]++; }
        }
        for (int a = seglo[0]; a <= seghi[0]; a++) for (int b = seglo[1]; b <= seghi[1]; b++)
        for (int c = seglo[2]; c <= seghi[2]; c++) for (int e = seglo[3]; e <= seghi[3]; e++) {
            int keep[4] = {a, b, c, e};
            S t = s;
            t.nrec = 0;
            memset(t.rec, 0, sizeof t.rec);
            for (int k = 0; k < s.nrec; k++) if (keep[s.rec[k].seg]-- > 0) { t.rec[t.nrec] = s.rec[k]; t.rec[t.nrec++].level = SYNCED; }
            for (int ck = 0; ck < (s.ckv != s.ckd || s.cronv != s.crond ? 2 : 1); ck++)
            for (int torn = 0; torn < 128; torn += 2) {
                int ok = 1;
                S u = t;
                if (ck) { u.ckd = u.ckv; u.crond = u.cronv; } else { u.ckv = u.ckd; u.cronv = u.crond; }
                for (int f = 1; f < 7; f++) {
                    int on = 0;
                    for (int x = IN0; x < NE; x++) if (u.v[x] == f) on = 1;
                    if ((torn >> f & 1) && (!on || u.cont[f] != 1)) { ok = 0; break; }
                    if (u.cont[f] == 1 && on) u.cont[f] = torn >> f & 1 ? 3 : 2;
                    if (!on && f > 2) u.cont[f] = 0;
                }
                if (!ok) continue;
                u.owed = 0;
                for (int d = 0; d < ndrops; d++) for (int x = IN0; x < T_PL; x++) if (u.v[x] == d + 1 && u.cont[d + 1] != 3) u.owed |= 1 << d;
                for (int d = 0; d < ndrops; d++) if (u.v[OUT0 + d] && (u.moved >> d & 1)) {   // a mv that was undone: the dropper gives up
                    u.v[OUT0 + d] = u.d[OUT0 + d] = 0; u.cont[d + 1] = 0; }
                emit(&u, 1, "POWER FAILURE: %d of %d directory operations reached the disk%s, %d journal records kept, torn files mask %d%s", m, s0->nop, reorder ? " (mask)" : "", u.nrec, torn >> 1, ck ? ", new checkpoint" : "");
            }
        }
    }
}

static int recover(S *s, char *what) {   // one operation of recovery; 0: nothing left to do
    for (int i = 0; i < NID; i++) {
        int tail = s->ckv, accept = rec_at(s, tail, ACCEPT, i), end = rec_at(s, tail, END_OK, i), rej = rec_at(s, tail, REJECT, i), plan = plan_at(s, i);
        if (end && (s->v[AC + i] || (s->v[RD + i] && fix[FX_ENDANY]))) {       // row 5
            int from = s->v[AC + i] ? AC + i : RD + i;
            if (s->rec[end - 1].level != SYNCED && fix[FX_OLDSEG]) return 0;
            if (s->rec[end - 1].verb == END_OK) fs(s, from, NONE, 0);
            else if (!valid(s, from)) {                    // a failed run whose plan is torn: from its accept, else it cannot be retried
                if (fix[FX_FAIL] && accept && !big) s->cont[s->v[from]] = 2; else fs(s, from, NONE, 0); }
            else { if (fix[FX_FAIL]) s->cont[s->v[from]] = 2; fs(s, from, FA + i, 0); }
            sprintf(what, "recovery: run %d has its end in the tail: step 6 again", i);
            return 1;
        }
        if (s->v[T_IN + i]) {
            int d = s->v[T_IN + i] - 1;
            if (end) { fs(s, T_IN + i, NONE, 0); sprintf(what, "recovery: end of %d in the journal: unlink tmp/ID.in", i); return 1; }
            if (rej) { fs(s, T_IN + i, RJ + i, 0); sprintf(what, "recovery: reject of %d in the journal: rename to rejected/", i); return 1; }
            if (plan != NONE) {
                if (!fix[FX_VALID]) { fs(s, T_IN + i, NONE, 0); sprintf(what, "recovery: valid plan of %d somewhere: unlink tmp/ID.in", i); return 1; }
            } else {
                for (int e = T_PL; e < FA; e += NID) if (s->v[e + i]) { fs(s, e + i, NONE, 0); sprintf(what, "recovery: unlink unfinished or torn plan of %d", i); return 1; }
                if (accept && !big) goto again;
                if (!s->st[i]) {
                    if (!fix[FX_NAME] && !accept && kind == KMV) bad("the NAME of a taken drop is forgotten (what it is, its unit name, its TASK_NAME)");
                    s->st[i] = 1; s->dof[i] = d;
                    sprintf(what, "recovery: compile %d again", i);
                    return 1;
                }
                continue;
            }
        }
        if (s->v[T_PL + i]) {
            fs(s, T_PL + i, NONE, 0);
            sprintf(what, "recovery: unlink tmp/ID of %d", i);
            return 1;
        }
        if (plan != NONE && plan != FA + i && !accept && tail == 0) { log_(s, ACCEPT, i); sprintf(what, "recovery: accept %d again, flagged recovered", i); return 1; }
        if (plan != NONE && plan != FA + i && !accept && s->v[T_IN + i]) { log_(s, ACCEPT, i); sprintf(what, "recovery: accept %d again, flagged recovered", i); return 1; }
    again:
        if (accept && !end && plan_at(s, i) == NONE && (!big)) {
            if (s->v[AC + i]) { fs(s, AC + i, NONE, 0); sprintf(what, "recovery: unlink torn active/%d", i); return 1; }
            new_plan(s, i); fs(s, NONE, RD + i, 3 + i);
            s->dof[i] = s->rec[accept - 1].drop;
            sprintf(what, "recovery: plan of %d is written again from its accept", i);
            return 1;
        }
        for (int e = RD; e < FA; e += NID) if (s->v[e + i] && !valid(s, e + i)) {
            fs(s, e + i, NONE, 0); sprintf(what, "recovery: torn plan of %d, no accept in the tail: out of the way", i); return 1; }
        if (s->v[AC + i] && !end && !s->att[i] && !s->st[i]) { fs(s, AC + i, RD + i, 0); sprintf(what, "recovery: attempt of %d is lost, run goes back to ready/", i); return 1; }
    }
    if (kind != KCRON) for (int e = IN0; e <= IN1; e++) if (s->v[e]) {
        int d = s->v[e] - 1;
        for (int k = s->ckv; k < s->nrec; k++) if (s->rec[k].verb == ACCEPT) {
            int same = fix[FX_KEY] ? s->rec[k].drop == d && !s->rec[k].late : samekey ? 1 : s->rec[k].drop == d;
            if (kind == KSUBMIT) same = s->rec[k].id == d;
            else if (e == IN1 && s->back) same = s->rec[k].id == s->back - 1;
            if (same) { fs(s, e, NONE, 0); sprintf(what, "recovery: incoming/NAME has inode and mtime of the accept of %d: it is that one", s->rec[k].id); return 1; }
        }
    }
    return 0;
}

// Step 2 or 3 fails: the drop goes back into incoming/ as ID@NAME. A large plan may lie in ready/ by then.
static void no_space(const S *s, int i) {
    if (s->full >= maxe) return;
    S t = *s;
    t.full++;
    int renamed = s->st[i] == 2 && big;
    if (renamed) fs(&t, T_PL + i, RD + i, 0);
    else if (t.v[T_PL + i]) fs(&t, T_PL + i, NONE, 0);
    if (renamed && fix[FX_UNDO]) fs(&t, RD + i, NONE, 0);
    t.st[i] = 0;
    t.back = (uint8_t)(i + 1);
    int d = t.v[T_IN + i] - 1;
    fs(&t, T_IN + i, !fix[FX_BACK] ? NONE : kind == KSUBMIT ? IN0 + d : IN1, 0);
    if (t.v[RD + i]) { log_(&t, ACCEPT, i); t.st[i] = 3; }   // taskd finds it there and takes it for its owner's
    emit(&t, 1, "taskd: DISK FULL at step %d of %d", renamed ? 3 : 2, i);
}

static void next(const S *s) {
    char what[160];
    // faults
    if (s->up && s->kills < maxk) {
        S t = *s;
        t.kills++; t.up = 0;
        while (t.nrec && t.rec[t.nrec - 1].level == MEM) { t.nrec--; memset(&t.rec[t.nrec], 0, sizeof(Rec)); }
        memset(t.st, 0, sizeof t.st); t.fired = 0;
        emit(&t, 1, "KILL -9 taskd");
    }
    if (s->powers < maxp) power(s);
    // dropper
    for (int d = 0; d < ndrops && kind != KCRON; d++) {
        int name = kind == KSUBMIT ? IN0 + d : IN0;
        if (!(s->moved >> d & 1) && s->v[OUT0 + d] && (d == 0 || (s->moved & 1)) && (!samekey || d == 0 || (s->nid && s->v[IN0] != 1 && s->v[T_IN] != 1))) {
            S t = *s;
            t.moved |= 1 << d; t.owed |= 1 << d;
            if (t.v[name]) t.replaced |= 1 << (t.v[name] - 1);
            fs(&t, OUT0 + d, name, 0);
            emit(&t, 0, kind == KSUBMIT ? "submit: rename tmp/ to incoming/ULID@%d" : "dropper: mv into incoming/NAME (drop %d)", d);
        }
        if (kind == KSUBMIT && (s->moved >> d & 1) && !(s->acked >> d & 1) && !(s->dead >> d & 1)) {
            S t = *s;
            flush(&t, 0, 1); t.acked |= 1 << d;
            emit(&t, 0, "submit: fsync incoming/, prints the id (drop %d acknowledged)", d);
        }
    }
    // the journal's own steps
    if (s->up == 3 || s->up == 2) {
        int mem = 0, wr = 0;
        for (int k = 0; k < s->nrec; k++) { mem |= s->rec[k].level == MEM; wr |= s->rec[k].level == WRITTEN && (s->rec[k].seg == s->seg); }
        if (mem) { S t = *s; for (int k = 0; k < t.nrec; k++) if (t.rec[k].level == MEM) t.rec[k].level = WRITTEN; emit(&t, 0, "journal: write"); }
        if (wr) {
            S t = *s;
            for (int k = 0; k < t.nrec; k++) if (t.rec[k].level == WRITTEN && t.rec[k].seg == t.seg) t.rec[k].level = SYNCED;
            acks(&t);
            for (int i = 0; i < NID; i++) { int n = 0; for (int k = 0; k < t.nrec; k++) n += t.rec[k].id == i && t.rec[k].level == SYNCED && (t.rec[k].verb == END_OK || t.rec[k].verb == END_FAIL); if (n > 1) { bad("P2: two durable ends of one generation"); return; } }
            emit(&t, 0, "journal: fdatasync");
        }
    }
    // taskrun
    for (int i = 0; i < NID; i++) if (s->att[i] == 1) for (int r = 2; r < 4; r++) { S t = *s; t.att[i] = r; emit(&t, 0, "taskrun: attempt of %d ends %s", i, r == 2 ? "with success" : "in failure"); }
    // taskd
    if (s->up == 0) { S t = *s; t.up = 1; t.seg = t.seg < 3 ? t.seg + 1 : 3; if (!s->moved && !s->kills && !s->powers) t.seg = 0; emit(&t, 0, "taskd starts"); return; }
    if (s->up == 1) {
        S t = *s;
        t.up = 2;
        if (fix[FX_OLDSEG]) { for (int k = 0; k < t.nrec; k++) t.rec[k].level = SYNCED; acks(&t); }
        if (fix[FX_DIRS]) flush(&t, 1, 1);
        emit(&t, 0, fix[FX_OLDSEG] ? "taskd: fsync of old segments%s" : "taskd: reads checkpoint and journal%s", fix[FX_DIRS] ? " and of all directories" : "");
        return;
    }
    if (s->up == 2) {
        S t = *s;
        if (recover(&t, what)) { emit(&t, 0, "%s", what); return; }
        for (int i = 0; i < NID; i++) {
            if (t.v[RD + i]) t.st[i] = 3;
            else if (t.v[AC + i]) t.st[i] = 4;
            else if (!t.v[T_IN + i]) t.st[i] = rec_at(&t, 0, ACCEPT, i) ? 6 : 0;
        }
        if (kind == KCRON) { t.fired = t.cronv; for (int i = 0; i < NID; i++) if (rec_at(&t, t.ckv, ACCEPT, i) || t.v[RD + i] || t.v[AC + i] || t.v[FA + i]) t.fired |= 1 << i; }
        t.up = 3;
        emit(&t, 0, "taskd: recovery done");
        return;
    }
    if (kind == KCRON) {
        for (int d = 0; d < ndrops; d++) if (!(s->fired >> d & 1)) {
            S t = *s;
            if (t.v[T_PL + d]) continue;
            t.fired |= 1 << d; t.dof[d] = d; new_plan(&t, d); fs(&t, NONE, T_PL + d, 3 + d); t.st[d] = 2; if (t.nid <= d) t.nid = d + 1;
            emit(&t, 0, "taskd: cron slot %d fires, tmp/ID is written", d);
        }
    } else for (int e = IN0; e <= IN1; e++) if (s->v[e]) {
        S t = *s;
        int d = s->v[e] - 1, i = kind == KSUBMIT ? d : e == IN1 && s->back ? s->back - 1 : s->nid;
        if (i >= NID) { bad("one drop is accepted under two ids"); continue; }
        if (kind == KSUBMIT && level(s, END_OK, i) >= 0 && rec_at(s, s->ckv, END_OK, i)) { fs(&t, e, NONE, 0); emit(&t, 0, "taskd: dup of ended %d", i); continue; }
        if (s->full && s->st[i] >= 3 && s->st[i] < 6) { fs(&t, e, NONE, 0); emit(&t, 0, "taskd: dup of %d, which is live", i); continue; }
        if (t.nid <= i) t.nid = i + 1;
        fs(&t, e, T_IN + i, 0); t.st[i] = 1; t.dof[i] = d;
        emit(&t, 0, "taskd: 1 rename incoming/ -> tmp/%d.in (drop %d)", i, d);
    }
    for (int i = 0; i < NID; i++) {
        S t = *s;
        int alevel = level(s, ACCEPT, i), elevel = level(s, END_OK, i);
        if (alevel < 0 && s->ckv && s->st[i] >= 3) alevel = SYNCED;
        if (s->st[i] == 1) {
            if (drop_bad(s, s->dof[i])) { log_(&t, REJECT, i); if (!fix[FX_REJ]) fs(&t, T_IN + i, RJ + i, 0); t.st[i] = fix[FX_REJ] ? 7 : 6; emit(&t, 0, "taskd: drop is bad: rejected/, journal reject"); }
            else { new_plan(&t, i); fs(&t, NONE, T_PL + i, 3 + i); t.st[i] = 2; emit(&t, 0, "taskd: 2 compile into tmp/%d", i); no_space(s, i); }
        } else if (s->st[i] == 7 && level(s, REJECT, i) == SYNCED) {
            fs(&t, T_IN + i, RJ + i, 0); t.st[i] = 6; emit(&t, 0, "taskd: reject is durable: rename to rejected/");
        } else if (s->st[i] == 2) {
            if (s->v[T_PL + i]) { fs(&t, T_PL + i, RD + i, 0); if (big && fix[FX_BIG]) flush(&t, 1, 0); emit(&t, 0, "taskd: 3 rename tmp/%d -> ready/", i); no_space(s, i); }
            else { log_(&t, ACCEPT, i); t.st[i] = 3; emit(&t, 0, "taskd: 3 journal accept %d", i); }
        } else if (s->st[i] == 3 && s->v[RD + i]) {
            fs(&t, RD + i, AC + i, 0); t.st[i] = 4;
            emit(&t, 0, "taskd: rename ready/%d -> active/", i);
        } else if (s->st[i] == 4 && s->att[i] == 0) {
            if (level(s, END_OK, i) == SYNCED) bad("P2: a run is started again after its durable end");
            else { log_(&t, START, i); t.att[i] = 1; emit(&t, 0, "taskd: journal start %d, job line to taskrun", i); }
        } else if (s->st[i] == 4 && s->att[i] >= 2 && elevel < 0) {
            log_(&t, s->att[i] == 2 ? END_OK : END_FAIL, i); t.st[i] = 5;
            emit(&t, 0, "taskd: 5 journal end %d", i);
        } else if (s->st[i] == 4 && elevel >= 0) { t.st[i] = 5; emit(&t, 0, "taskd: end %d is in the journal already", i); }
        else if (s->st[i] == 5 && elevel == SYNCED) {
            int k = rec_at(s, 0, END_OK, i);
            if (s->rec[k - 1].verb == END_OK) fs(&t, AC + i, NONE, 0); else { if (fix[FX_FAIL]) t.cont[3 + i] = 2; fs(&t, AC + i, FA + i, 0); }
            t.st[i] = 6; t.att[i] = 0;
            emit(&t, 0, "taskd: 6 %s active/%d, ack", s->rec[k - 1].verb == END_OK ? "unlink" : "to failed/:", i);
        }
        if (s->v[T_IN + i] && s->st[i] >= 3 && s->st[i] < 7 && (alevel == SYNCED || elevel == SYNCED)) {
            S u = *s;
            fs(&u, T_IN + i, NONE, 0);
            emit(&u, 0, "taskd: 4 unlink tmp/%d.in", i);
        }
    }
    if (ckpt) {
        S t = *s;
        int synced = 0, pos = 0;
        while (synced < s->nrec && s->rec[synced].level == SYNCED) synced++;
        if (synced == s->nrec && s->nrec > s->ckv) {
            pos = synced;
            if (fix[FX_POS]) {                     // stops before the first record whose step is not done
                for (int k = 0; k < pos; k++) {
                    int i = s->rec[k].id;
                    if (((s->rec[k].verb == END_OK || s->rec[k].verb == END_FAIL) && (s->v[AC + i] || s->v[RD + i])) || s->v[T_IN + i]) pos = k;
                }
            }
            if (pos > s->ckv) {
                if (fix[FX_PLAN]) for (int i = 0; i < NID; i++) if (t.cont[3 + i] == 1) t.cont[3 + i] = 2;
                flush(&t, 1, fix[FX_CKIN]);
                t.ckd = s->ckv; t.crond = s->cronv; t.ckv = pos; t.cronv = 0;
                for (int k = 0; k < pos; k++) if (t.rec[k].verb == ACCEPT) t.cronv |= 1 << t.rec[k].id;
                emit(&t, 1, "taskd: checkpoint at record %d, after fsync of the state directories", pos);
            }
        }
    }
    if (!moves) at_rest(s);
}

int main(int argc, char **argv) {
    int stop = 0;
    for (int k = 0; k < FX_N; k++) fix[k] = 1;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (!strcmp(a, "-r")) reorder = 1; else if (!strcmp(a, "-c")) ckpt = 1; else if (!strcmp(a, "-s")) samekey = 1;
        else if (!strcmp(a, "-b")) big = 1; else if (!strcmp(a, "-j")) badd = 1; else if (!strcmp(a, "-1")) stop = 1;
        else if (i + 1 >= argc) return 2;
        else if (!strcmp(a, "-k")) { i++; kind = !strcmp(argv[i], "mv") ? KMV : !strcmp(argv[i], "submit") ? KSUBMIT : KCRON; }
        else if (!strcmp(a, "-n")) ndrops = atoi(argv[++i]); else if (!strcmp(a, "-K")) maxk = atoi(argv[++i]);
        else if (!strcmp(a, "-P")) maxp = atoi(argv[++i]); else if (!strcmp(a, "-E")) maxe = atoi(argv[++i]); else if (!strcmp(a, "-l")) limit_states = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(a, "-x")) {
            int hit = 0;
            i++;
            for (int k = 0; k < FX_N; k++) if (!strcmp(argv[i], fx_name[k])) { fix[k] = 0; hit = 1; }
            if (!hit) return 2;
        } else return 2;
    }
    S s;
    memset(&s, 0, sizeof s);
    for (int d = 0; d < ndrops && kind != KCRON; d++) { s.v[OUT0 + d] = s.d[OUT0 + d] = (uint8_t)(d + 1); s.cont[d + 1] = kind == KSUBMIT ? 2 : 1; }
    return explore(&s, stop);
}
