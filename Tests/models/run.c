// SPDX-License-Identifier: Apache-2.0
// Runs of several tasks (task 1 requires task 0, task 2 stands alone), attempts, the reduced plan in failed/, its retry, what
// the checkpoint says of tasks: task-spool(7), steps 5 and 6, "tmp/ID.full", "failed/ID+G", "a plan in active/", Checkpoint.
// Faults: kill -9 of taskd, of taskrun, power failure, a full disk at any step, fdatasync that fails with EIO (the kernel drops
// the pages then: they read as written until the power fails, and the next fdatasync says that all is well).
// usage: run [-K kills of taskd] [-R kills of taskrun] [-P power failures] [-F full disks] [-I fdatasync errors] [-G retries]
//            [-A attempts] [-c] [-1] [-l STATES] [-x RULE]...
//   -x RULE leaves a rule out:
//   results the checkpoint has the results of a live run's tasks      undone  it is not written while a step of a record is undone
//   reduce  what failed/ gets is synced before the rename             full    tmp/ID.full is reduced by the journal's results
//   rewrite records of a failed fdatasync go into a new segment       cut     and the old one is cut back to what is durable
//   keep    what the journal could not take stays in memory           old     start-up syncs the segments and directories first
//   later   tmp/ID.full of a run whose retry has succeeded goes       whole   a retry whose renames are lost is reduced first
// Properties: P1 every task of an accepted run ends; P2 one durable end a task and generation, none is started after its durable
// success; a task starts only when what it requires has succeeded; failed/ has exactly what did not succeed, whole; nothing else
// is left.
#include <stdint.h>
enum { R_RESULTS, R_UNDONE, R_REDUCE, R_FULL, R_REWRITE, R_CUT, R_KEEP, R_OLD, R_LATER, R_WHOLE, R_N };
static const char *rule_name[] = {"results", "undone", "reduce", "full", "rewrite", "cut", "keep", "old", "later", "whole"};
enum { NT = 3, MAXOP = 10, MAXREC = 22, ALL = 7 };
enum { RD0, AC0, FA1, RD1, AC1, FA2, FULL, REDUCED, NS, NONE = 255 };        // names: ready/ID, active/ID, failed/ID+1 …
static const char *slot_name[] = {"ready/ID", "active/ID", "failed/ID+1", "ready/ID+1", "active/ID+1", "failed/ID+2", "tmp/ID.full", "tmp/ID.reduced"};
enum { START = 1, ATTEMPT, OK, FAILED, SKIPPED, LOST, RUN_OK, RUN_FAILED, RETRY };
static const char *verb_name[] = {"", "start", "end (again)", "end success", "end failure", "end dependency", "lost", "end of the run: success", "end of the run: failure", "retry"};
enum { MEM, WRITTEN, DROPPED, SYNCED };                                      // DROPPED: read as written, on no disk
typedef struct { uint8_t verb, task, gen, level; } Rec;
typedef struct {
    uint8_t v[NS], d[NS];                                                    // inode of a name, as seen and on disk
    struct { uint8_t src, dst, ino; } op[MAXOP];
    uint8_t nop, mask[4], torn[4], cached[4];                                // plans 1, 2, 3: their tasks
    Rec rec[MAXREC];
    uint8_t nrec, ck, ckfin[NT], ckgen;                                      // checkpoint: position, results, generation
    uint8_t up, att[NT], sent[NT];                                           // taskrun: 0 none 1 runs 2 success 3 failure
    uint8_t fin[NT], prev[NT], tries[NT], started[NT], gen, ended, undone;   // taskd's memory; fin: OK, FAILED, SKIPPED
    uint8_t kills, rkills, powers, fulls, eios, retries;
} S;
#include "explore.h"
static int rule[R_N], maxk = 1, maxr, maxp = 1, maxf, maxi, maxg = 1, maxa = 2, ckpt;

static void apply_disk(S *s, int k) {
    if (s->op[k].src != NONE) { if (s->d[s->op[k].src] != s->op[k].ino) return; s->d[s->op[k].src] = 0; }
    if (s->op[k].dst != NONE) s->d[s->op[k].dst] = s->op[k].ino;
}
static void shift_op(S *s) {
    apply_disk(s, 0);
    memmove(&s->op[0], &s->op[1], (size_t)(s->nop - 1) * sizeof s->op[0]);
    memset(&s->op[--s->nop], 0, sizeof s->op[0]);
}
static void flush(S *s) { while (s->nop) shift_op(s); }
static void fs(S *s, uint8_t src, uint8_t dst, uint8_t ino) {
    if (s->nop == MAXOP) shift_op(s);
    if (src != NONE) { ino = s->v[src]; s->v[src] = 0; }
    if (dst != NONE) s->v[dst] = ino;
    s->op[s->nop].src = src; s->op[s->nop].dst = dst; s->op[s->nop].ino = ino; s->nop++;
}
static int final_verb(int v) { return v == OK || v == FAILED || v == SKIPPED; }
static int run_end(const S *s, int g, int from) {
    for (int i = from; i < s->nrec; i++) if ((s->rec[i].verb == RUN_OK || s->rec[i].verb == RUN_FAILED) && s->rec[i].gen == g) return i + 1;
    return 0;
}
static int durable(const S *s, int verb, int task, int g) {
    int n = 0;
    for (int i = 0; i < s->nrec; i++) n += s->rec[i].level == SYNCED && s->rec[i].task == task && s->rec[i].gen == g && (verb ? s->rec[i].verb == verb : final_verb(s->rec[i].verb));
    return n;
}
static void log_(S *s, int verb, int task) {
    if (s->nrec == MAXREC) { bad("model: journal too short"); return; }
    Rec r = {(uint8_t)verb, (uint8_t)task, s->gen, MEM};
    s->rec[s->nrec++] = r;
}
static int live(const S *s) { for (int e = 0; e < NS; e++) if (s->v[e] && e != FA1 && e != FA2 && e < FULL) return e; return NONE; }
static void forget(S *s, int level) {                                        // records below that level are gone
    int n = 0;
    for (int i = 0; i < s->nrec; i++) if (s->rec[i].level >= level) s->rec[n++] = s->rec[i];
    memset(&s->rec[n], 0, (size_t)(MAXREC - n) * sizeof(Rec));
    s->nrec = (uint8_t)n;
}
static void forget_memory(S *s) {
    s->up = s->gen = s->ended = s->undone = 0;
    memset(s->fin, 0, NT); memset(s->prev, 0, NT); memset(s->tries, 0, NT); memset(s->started, 0, NT); memset(s->sent, 0, NT);
}
static void begin(S *s, int g) {                                             // a later generation
    for (int k = 0; k < NT; k++) { if (s->fin[k]) s->prev[k] = s->fin[k]; s->fin[k] = s->tries[k] = s->started[k] = 0; }
    s->gen = (uint8_t)g; s->ended = 0;
}
static void fold(S *s) {                                                     // start-up: checkpoint and the journal after it
    s->gen = s->ckgen;
    for (int k = 0; k < NT; k++) if (rule[R_RESULTS] && s->ckfin[k]) { if (s->ckfin[k] & 8) s->prev[k] = s->ckfin[k] & 7; else s->fin[k] = s->ckfin[k]; }
    for (int i = s->ck; i < s->nrec; i++) {
        Rec r = s->rec[i];
        if (r.verb == RETRY) begin(s, r.gen);
        else if (r.verb == START) { s->started[r.task] = 1; s->tries[r.task]++; }
        else if (r.verb == ATTEMPT) s->started[r.task] = 0;
        else if (r.verb == LOST) { s->started[r.task] = 0; if (s->tries[r.task]) s->tries[r.task]--; }
        else if (final_verb(r.verb)) { s->fin[r.task] = r.verb; s->started[r.task] = 0; }
        else s->ended = r.verb;
    }
}
static uint8_t result(const S *s, int k) { return s->fin[k] ? s->fin[k] : s->prev[k]; }
static uint8_t left_over(const S *s) { int m = 0; for (int k = 0; k < NT; k++) if (result(s, k) != OK) m |= 1 << k; return (uint8_t)m; }

static void rest(const S *s) {
    for (int e = 0; e < NS; e++) if (s->v[e] && e != FA1 && e != FA2) bad("a plan stays in ready/, active/ or tmp/ for ever");
    int g = 0, done = 0, failed = s->v[FA1] ? FA1 : s->v[FA2] ? FA2 : NONE, good = 0;
    for (int i = 0; i < s->nrec; i++) if (s->rec[i].verb == RETRY) g = s->rec[i].gen;
    for (int k = 0; k < NT; k++) {
        int ok = durable(s, OK, k, 0) + durable(s, OK, k, 1), any = durable(s, 0, k, 0) + durable(s, 0, k, 1);
        if (!any) bad("P1: a task of an accepted run has no end");
        if (ok > 1) bad("P2: a task has succeeded twice");
        if (k == 1 && ok && !durable(s, OK, 0, 0) && !durable(s, OK, 0, 1)) bad("a task has succeeded, and what it requires has not");
        good |= (ok > 0) << k;
    }
    for (int i = 0; i < s->nrec; i++) if (s->rec[i].gen == g && s->rec[i].level == SYNCED && (s->rec[i].verb == RUN_OK || s->rec[i].verb == RUN_FAILED)) done = s->rec[i].verb;
    if (!done) bad("P1: an accepted run has no end");
    if (done == RUN_OK && (failed != NONE || good != ALL)) bad("a run succeeded whose tasks did not all");
    if (done == RUN_FAILED) {
        if (failed == NONE) bad("a failed run left no plan in failed/");
        else if (s->torn[s->v[failed]]) bad("failed/ holds a torn plan");
        else if (s->mask[s->v[failed]] != (ALL & ~good)) bad("failed/ has not exactly what did not succeed");
    }
    for (int k = 0; k < NT; k++) if (s->att[k]) bad("taskrun keeps an attempt for ever");
}
static void world(const S *s) {
    if (s->up && s->kills < maxk) { S t = *s; t.kills++; forget_memory(&t); forget(&t, WRITTEN); emit(&t, 1, "KILL -9 taskd"); }
    int alive = s->att[0] | s->att[1] | s->att[2];
    if (alive && s->rkills < maxr) { S t = *s; t.rkills++; memset(t.att, 0, NT); emit(&t, 1, "KILL -9 taskrun"); }
    if (s->powers < maxp) for (int m = 0; m <= s->nop; m++) {
        int lo = 0, hi = s->nrec;
        while (lo < s->nrec && s->rec[lo].level == SYNCED) lo++;
        for (int n = lo; n <= hi; n++) {
            if (n > lo && s->rec[n - 1].level == MEM) break;
            for (int torn = 0; torn < 2; torn++) {
                S t = *s;
                t.powers++;
                for (int k = 0; k < m; k++) apply_disk(&t, k);
                memcpy(t.v, t.d, NS); memset(t.op, 0, sizeof t.op); t.nop = 0;
                // A suffix of what was written is gone, and what the kernel had dropped.
                for (int i = n; i < s->nrec; i++) if (t.rec[i].level != SYNCED) t.rec[i].level = MEM;
                for (int i = 0; i < s->nrec; i++) if (t.rec[i].level == DROPPED) t.rec[i].level = MEM;
                forget(&t, WRITTEN);
                for (int i = 0; i < t.nrec; i++) t.rec[i].level = SYNCED;
                int hit = 0;
                for (int e = 0; e < NS; e++) if (t.v[e] && t.cached[t.v[e]]) { hit = 1; t.torn[t.v[e]] |= torn; t.cached[t.v[e]] = 0; }
                if (torn && !hit) continue;
                forget_memory(&t); memset(t.att, 0, NT);
                emit(&t, 1, "POWER FAILURE: %d of %d renames and %d records are on disk%s", m, s->nop, t.nrec, torn ? ", a plan is torn" : "");
            }
        }
    }
    for (int k = 0; k < NT; k++) if (s->att[k] == 1) for (int r = 2; r < 4; r++) { S t = *s; t.att[k] = (uint8_t)r; emit(&t, 0, "taskrun: task %d ends %s", k, r == 2 ? "with success" : "in failure"); }
    if (s->retries < maxg && (s->v[FA1]) && s->up == 3) { S t = *s; t.retries++; fs(&t, FA1, RD1, 0); emit(&t, 1, "OWNER: mv failed/ID+1 ready/"); }
}
static void journal(const S *s) {
    int mem = 0, wr = 0;
    for (int i = 0; i < s->nrec; i++) { mem |= s->rec[i].level == MEM; wr |= s->rec[i].level == WRITTEN; }
    if (mem) {
        S t = *s;
        for (int i = 0; i < t.nrec; i++) if (t.rec[i].level == MEM) t.rec[i].level = WRITTEN;
        emit(&t, 0, "journal: write");
        if (s->fulls < maxf && !rule[R_KEEP]) { S u = *s; u.fulls++; forget(&u, WRITTEN); emit(&u, 1, "journal: DISK FULL"); }
    }
    if (wr) {
        S t = *s;
        for (int i = 0; i < t.nrec; i++) if (t.rec[i].level == WRITTEN) t.rec[i].level = SYNCED;
        for (int k = 0; k < NT; k++) for (int g = 0; g < 2; g++) if (durable(&t, 0, k, g) > 1) { bad("P2: two durable ends of a task and generation"); return; }
        emit(&t, 0, "journal: fdatasync");
        if (s->eios < maxi) {
            S u = *s;
            u.eios++;
            for (int i = 0; i < u.nrec; i++) if (u.rec[i].level == WRITTEN) u.rec[i].level = rule[R_REWRITE] ? MEM : DROPPED;
            emit(&u, 1, "journal: fdatasync: EIO, %s", rule[R_REWRITE] ? "a new segment" : "once more");
            // The third failure in a row: taskd stops, and what was not durable is gone, or seems to be there.
            S w = *s;
            w.eios++;
            for (int i = 0; i < w.nrec; i++) if (w.rec[i].level == WRITTEN) w.rec[i].level = rule[R_CUT] ? MEM : DROPPED;
            forget_memory(&w);
            forget(&w, WRITTEN);
            emit(&w, 1, "journal: fdatasync: EIO, taskd stops");
        }
    }
}
static int unsynced(const S *s) { for (int i = 0; i < s->nrec; i++) if (s->rec[i].level < DROPPED) return 1; return 0; }
static int in_memory(const S *s) { for (int i = 0; i < s->nrec; i++) if (s->rec[i].level == MEM) return 1; return 0; }

static int step6(S *s, char *what) {                                         // one operation of it; 0: nothing to do
    int e = live(s), to = s->gen ? FA2 : FA1, ok = s->ended == RUN_OK;
    if (s->v[FULL]) {
        if (ok && rule[R_LATER]) { fs(s, FULL, NONE, 0); sprintf(what, "6: unlink tmp/ID.full, a later generation has succeeded"); return 1; }
        if (s->v[to] || (!s->gen && (s->v[RD1] || s->v[AC1]))) { fs(s, FULL, NONE, 0); sprintf(what, "6: unlink tmp/ID.full"); return 1; }
        if (!s->v[REDUCED]) {
            uint8_t ino = s->gen ? 3 : 2;
            s->mask[ino] = rule[R_FULL] || s->up == 3 ? left_over(s) & s->mask[s->v[FULL]] : s->mask[s->v[FULL]]; s->torn[ino] = 0; s->cached[ino] = !rule[R_REDUCE];
            fs(s, NONE, REDUCED, ino);
            sprintf(what, "6: write tmp/ID.reduced");
            return 1;
        }
        fs(s, REDUCED, (uint8_t)to, 0); sprintf(what, "6: rename tmp/ID.reduced to %s", slot_name[to]);
        return 1;
    }
    if (e == NONE && s->gen && s->v[FA1]) e = FA1;                           // a power failure took the retry's rename back
    if (e == NONE || (e >= FA1 && !s->gen)) return 0;
    fs(s, (uint8_t)e, ok ? NONE : FULL, 0);
    sprintf(what, ok ? "6: unlink %s" : "6: rename %s to tmp/ID.full", slot_name[e]);
    return 1;
}
static void recover(const S *s) {
    S t = *s;
    char what[80];
    if (s->up == 0) {
        t.up = 1;
        if (rule[R_OLD]) { for (int i = 0; i < t.nrec; i++) if (t.rec[i].level == WRITTEN) t.rec[i].level = SYNCED; flush(&t); }
        emit(&t, 0, "taskd starts%s", rule[R_OLD] ? ", syncs segments and directories" : ""); return;
    }
    if (s->up == 1) {
        t.up = 2;
        fold(&t);
        if (t.v[REDUCED]) fs(&t, REDUCED, NONE, 0);
        // The results of the run whose plan is on its way: those of the generation that ended.
        emit(&t, 0, "taskd reads checkpoint and journal, generation %d", t.gen); return;
    }
    if (t.ended && unsynced(s) && live(s) == NONE && !s->v[FULL]) return;    // step 6 waits for the end that was just written
    if (t.ended && step6(&t, what)) { emit(&t, 0, "recovery: %s", what); return; }
    if (!t.ended && t.v[FULL] && t.v[FA1]) { fs(&t, FULL, NONE, 0); emit(&t, 0, "recovery: unlink tmp/ID.full"); return; }
    if (!t.ended && t.v[FULL] && !s->gen) { fs(&t, FULL, AC0, 0); emit(&t, 0, "recovery: tmp/ID.full has no end: back"); return; }
    int e = live(s);
    if (s->gen && !t.ended && (e == RD0 || e == AC0 || (s->v[FULL] && e == NONE))) {   // the renames before the retry are lost
        uint8_t from = e == NONE ? FULL : (uint8_t)e;
        t.torn[2] = t.cached[2] = 0;
        if (rule[R_WHOLE] || e == NONE) t.mask[2] = left_over(s) & s->mask[s->v[from]];
        if (e == NONE) { fs(&t, NONE, RD1, 2); fs(&t, FULL, NONE, 0); }
        else if (rule[R_WHOLE] || s->v[from] == 2) { if (s->v[from] != 2) fs(&t, NONE, from, 2); else fs(&t, from, RD1, 0); }
        else { fs(&t, from, RD1, 0); }
        emit(&t, 0, "recovery: %s becomes ready/ID+1, reduced", slot_name[from]); return;
    }
    if (e == NONE && s->gen && !t.ended && t.v[FA1]) {                       // retried, and in failed/: cancelled
        for (int k = 0; k < NT; k++) if ((t.mask[t.v[FA1]] >> k & 1) && !t.fin[k]) { log_(&t, SKIPPED, k); t.fin[k] = SKIPPED; }
        log_(&t, RUN_FAILED, 0); t.ended = RUN_FAILED;
        emit(&t, 0, "recovery: failed/ID+1 is cancelled"); return;
    }
    for (int k = 0; k < NT && e != NONE; k++) if (t.started[k] && !t.fin[k]) {
        if (t.att[k]) { t.sent[k] = 1; continue; }
        log_(&t, LOST, k); t.started[k] = 0; if (t.tries[k]) t.tries[k]--;
        emit(&t, 0, "recovery: task %d is lost", k); return;
    }
    // Running in the pool, and no start on record: the table names it.
    for (int k = 0; k < NT; k++) if (t.att[k] && !t.fin[k]) { t.started[k] = t.sent[k] = 1; if (!t.tries[k]) t.tries[k] = 1; }
    t.up = 3;
    emit(&t, 0, "taskd: recovery done");
}
static void may_fail(const S *s, const char *what) {                         // the disk is full at this step
    if (s->fulls >= maxf) return;
    S t = *s;
    t.fulls++;
    t.undone = 1;
    emit(&t, 1, "DISK FULL at %s", what);
}
static void checkpoint(const S *s) {
    if (!ckpt || unsynced(s) || s->nrec == s->ck) return;
    if ((rule[R_UNDONE] || !s->undone) && s->ended && (live(s) != NONE || s->v[FULL])) return;
    S t = *s;
    flush(&t);
    t.ck = s->nrec; t.ckgen = s->gen;
    for (int k = 0; k < NT; k++) t.ckfin[k] = s->ended ? 0 : s->fin[k] ? s->fin[k] : s->prev[k] ? s->prev[k] | 8 : 0;
    emit(&t, 1, "taskd: checkpoint");
}
// One thing at a time, in an order: what other orders would show, kills and slow disks show.
static int tell_end(const S *s, int k) {                                     // an end that the pool tells
    int known = s->fin[k] || !s->started[k];
    S t = *s;
    if (!known) {
        int again = s->att[k] == 3 && s->tries[k] < maxa;
        log_(&t, s->att[k] == 2 ? OK : again ? ATTEMPT : FAILED, k);
        t.started[k] = 0;
        if (!again) t.fin[k] = s->att[k] == 2 ? OK : FAILED;
        emit(&t, 0, "taskd: journal %s of task %d", verb_name[t.rec[t.nrec - 1].verb], k);
        return 1;
    }
    if (unsynced(s)) return 0;
    t.att[k] = t.sent[k] = 0;
    emit(&t, 0, "taskd: ack of task %d", k);
    return 1;
}
static int send_job(const S *s, int k) {
    S t = *s;
    int met = 0;
    for (int i = 0; i < s->nrec; i++) met |= s->rec[i].verb == OK && s->rec[i].task == 0;
    if (durable(s, 0, k, s->gen) || durable(s, OK, k, 0)) bad("P2: a task is started after its durable end");
    else if (k == 1 && !met) bad("a task is started, and what it requires has not succeeded");
    t.att[k] = t.sent[k] = 1;
    emit(&t, 0, "taskd: job line of task %d", k);
    return 1;
}
static int decide(const S *s, int e, int k) {                                // starts, losses, dependencies
    S t = *s;
    if (s->started[k] && s->sent[k] && !s->att[k] && !s->fin[k]) {
        log_(&t, LOST, k); t.started[k] = t.sent[k] = 0; if (t.tries[k]) t.tries[k]--;
        emit(&t, 0, "taskd: task %d is lost", k); return 1;
    }
    // The start is written before the job line goes out.
    if (s->started[k] && !s->sent[k]) return in_memory(s) ? 0 : send_job(s, k);
    if (e == NONE) return 0;
    uint8_t mask = s->mask[s->v[e]];
    if (s->fin[k] || s->started[k] || s->att[k] || !(mask >> k & 1)) return 0;
    if (k == 1 && (mask & 1) && result(s, 0) != OK) {
        if (!s->fin[0]) return 0;
        log_(&t, SKIPPED, 1); t.fin[1] = SKIPPED; emit(&t, 0, "taskd: task 1 ends: dependency"); return 1;
    }
    log_(&t, START, k); t.started[k] = 1; t.tries[k]++;
    if (e == RD0 || e == RD1) fs(&t, (uint8_t)e, (uint8_t)(e + 1), 0);
    emit(&t, 0, "taskd: start of task %d", k);
    return 1;
}
static void daemon(const S *s) {
    char what[80];
    int e = live(s);
    S t = *s;
    if (s->v[FULL] && (s->v[RD1] || s->v[AC1])) { fs(&t, FULL, NONE, 0); emit(&t, 0, "6: unlink tmp/ID.full"); return; }
    if (e != NONE && e >= RD1 && !s->gen) { log_(&t, RETRY, 0); t.rec[t.nrec - 1].gen = 1; begin(&t, 1); emit(&t, 0, "taskd: retry of generation 1"); return; }
    for (int k = 0; k < NT; k++) if (s->att[k] >= 2 && tell_end(s, k)) return;
    if (e == NONE && !s->v[FULL]) return;
    if (!s->ended) {
        for (int k = 0; k < NT; k++) if (decide(s, e, k)) return;
        for (int k = 0; k < NT && e != NONE; k++) if ((s->mask[s->v[e]] >> k & 1) && !s->fin[k]) return;
        if (e == NONE) return;
        t.ended = left_over(s) ? RUN_FAILED : RUN_OK;
        log_(&t, t.ended, 0);
        emit(&t, 0, "taskd: %s", verb_name[t.ended]);
        return;
    }
    int k = run_end(s, s->gen, 0);
    if (k && s->rec[k - 1].level < DROPPED) return;
    if (step6(&t, what)) { t.undone = 0; emit(&t, 0, "%s", what); may_fail(s, what); }
}
static void next(const S *s) {
    world(s);
    if (s->up < 3) { if (s->up == 2) journal(s); recover(s); return; }
    journal(s);
    daemon(s);
    checkpoint(s);
    if (!moves) rest(s);
}
int main(int argc, char **argv) {
    int stop = 0;
    for (int k = 0; k < R_N; k++) rule[k] = 1;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (!strcmp(a, "-c")) ckpt = 1; else if (!strcmp(a, "-1")) stop = 1;
        else if (i + 1 >= argc) return 2;
        else if (!strcmp(a, "-x")) {
            int hit = 0;
            i++;
            for (int k = 0; k < R_N; k++) if (!strcmp(argv[i], rule_name[k])) { rule[k] = 0; hit = 1; }
            if (!hit) return 2;
        } else {
            const char *names = "KRPFIGA", *at = strchr(names, a[1]);
            int *to[] = {&maxk, &maxr, &maxp, &maxf, &maxi, &maxg, &maxa}, n = atoi(argv[++i]);
            if (!strcmp(a, "-l")) limit_states = (uint32_t)n; else if (a[0] == '-' && at && *at && !a[2]) *to[at - names] = n; else return 2;
        }
    }
    S s;
    memset(&s, 0, sizeof s);
    s.v[RD0] = s.d[RD0] = 1;                                                 // accepted
    s.mask[1] = ALL;
    return explore(&s, stop);
}
