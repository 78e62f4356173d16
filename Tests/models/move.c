// SPDX-License-Identifier: Apache-2.0
// `mv` is a command (task-spool(7)): the owner moves one run among ready, active, deferred, hold and failed while taskd claims,
// defers, ends and retries it.
// Faults: kill -9 of taskd, power failure (a prefix of the renames, a prefix of the journal survives), checkpoint at any moment.
// usage: move [-M moves] [-K kills] [-P power failures] [-c] [-d] [-x RULE]... [-1] [-l STATES]
//   -c checkpoints   -d the owner moves only while taskd is up   -l STATES a limit   -1 stop at the first violation
//   -x RULE leaves a rule out:
//   gen    a plan comes to failed/ under the name of its next generation (ID+1): the name tells a retry from a leftover
//   ckrun  the checkpoint has a `run` line for every live run of generation >= 1
// Properties: a move is obeyed, or overruled by an end; one end a generation; nothing runs at rest in hold/ or failed/; no retry
// that nobody asked for.
#include <stdint.h>
enum { FX_GEN, FX_CKRUN, FX_N };
static const char *fx_name[] = {"gen", "ckrun"};
enum { NOFILE, READY, ACTIVE, DEFERRED, HOLD, FAILED };
enum { START = 1, AEND, RETRY, FINAL_OK, FINAL_FAIL, FINAL_CANCEL, OPRETRY, HELD, RELEASED };
enum { MEM, WRITTEN, SYNCED };
enum { W_NONE, W_RUN, W_HOLD, W_CANCEL };
enum { MAXREC = 20, MAXSNAP = 10, MAXA = 2, MAXG = 2 };
typedef struct { uint8_t dir, a, g; } Place;
typedef struct { uint8_t verb, a, g, level; } Rec;
typedef struct {
    Place now, snap[MAXSNAP], mem;         // the file; states since the last directory sync; where taskd believes it to be
    uint8_t nsnap, nrec, ck, ckg;          // journal; position of the checkpoint; generation that its run line names (0: none)
    Rec rec[MAXREC];
    uint8_t up, att, att_a, att_g, killing;// taskrun's attempt: 0 none 1 runs 2 ended ok 3 ended failed 4 killed
    uint8_t want, wg, moves, kills, powers;
} S;
#include "explore.h"
static int fix[FX_N], maxm = 2, maxk = 1, maxp = 1, ckpt, nodown;
static const char *dirs[] = {"-", "ready", "active", "deferred", "hold", "failed"};

static int is_final(int v) { return v >= FINAL_OK && v <= FINAL_CANCEL; }
static int final_of(const S *s, int from, int g) { for (int i = from; i < s->nrec; i++) if (is_final(s->rec[i].verb) && s->rec[i].g == g) return i + 1; return 0; }
static int has(const S *s, int from, int verb, int g) { for (int i = from; i < s->nrec; i++) if (s->rec[i].verb == verb && s->rec[i].g == g) return i + 1; return 0; }
static void log_(S *s, int verb, int a, int g) {
    if (s->nrec == MAXREC) { bad("model: journal too short"); return; }
    Rec r = {(uint8_t)verb, (uint8_t)a, (uint8_t)g, MEM};
    s->rec[s->nrec++] = r;
}
static void put(S *s, int dir, int a, int g) {
    if (s->nsnap == MAXSNAP) { memmove(s->snap, s->snap + 1, sizeof s->snap - sizeof s->snap[0]); s->nsnap--; }
    s->snap[s->nsnap++] = s->now;
    s->now.dir = (uint8_t)dir; s->now.a = (uint8_t)(dir ? a : 0); s->now.g = (uint8_t)(dir ? g : 0);
}
static int same(Place x, Place y) { return x.dir == y.dir && x.a == y.a && x.g == y.g; }
// the generation that the file stands for, and whether it is a leftover of an ended one, as taskd can tell from journal tail and name
static int leftover(const S *s, Place p) {
    if (!final_of(s, s->ck, p.g)) return 0;
    if (fix[FX_GEN]) return 1;
    return !(p.dir == READY && has(s, s->ck, FINAL_OK, p.g) == 0) && p.dir != FAILED;   // text: failed -> ready is a retry, else the end wins
}
static void step6(S *s) {
    int k = final_of(s, 0, s->now.g);
    if (k && s->rec[k - 1].verb == FINAL_OK) put(s, NOFILE, 0, 0);
    else put(s, FAILED, 0, fix[FX_GEN] ? s->now.g + 1 : s->now.g);
}
static void rest(const S *s) {
    Place p = s->now;
    if (s->att == 1) bad("at rest a process still runs");
    if (p.dir == READY || p.dir == ACTIVE || p.dir == DEFERRED) bad("a run stays in ready/, active/ or deferred/ for ever");
    if (p.dir == HOLD && final_of(s, 0, p.g) && s->rec[final_of(s, 0, p.g) - 1].level == SYNCED) bad("an ended run stays in hold/ for ever");
    int done = final_of(s, 0, s->wg) != 0;
    if (s->want == W_RUN && !done) bad("a release or retry is lost: that generation never ends");
    if (s->want == W_HOLD && !done && p.dir != HOLD) bad("a hold is lost");
    if (s->want == W_CANCEL && !done && !(p.dir == FAILED && !has(s, 0, OPRETRY, s->wg) && s->wg)) bad("a cancel is lost: no end, and nothing runs");
    if (p.dir == NOFILE && !has(s, 0, FINAL_OK, 0) && !has(s, 0, FINAL_OK, 1) && !has(s, 0, FINAL_OK, 2)) bad("the run is gone without success");
    if (p.dir == FAILED && p.g == 0 && !final_of(s, 0, 0)) bad("a cancel is lost: no end, and nothing runs");
}
static void next(const S *s) {
    if (s->up && s->kills < maxk) {
        S t = *s;
        t.kills++; t.up = 0; memset(&t.mem, 0, sizeof t.mem); t.killing = 0;
        while (t.nrec && t.rec[t.nrec - 1].level == MEM) memset(&t.rec[--t.nrec], 0, sizeof(Rec));
        if (t.want == W_RUN && t.wg > t.now.g && !final_of(&t, 0, t.now.g)) t.wg = t.now.g;   // the end before it is gone
        emit(&t, 1, "KILL -9 taskd");
    }
    if (s->powers < maxp) for (int k = 0; k <= s->nsnap; k++) {
        int lo = 0, hi = s->nrec;
        while (lo < s->nrec && s->rec[lo].level == SYNCED) lo++;
        while (hi > lo && s->rec[hi - 1].level == MEM) hi--;
        for (int n = lo; n <= hi; n++) {
            S t = *s;
            if (k < s->nsnap) t.now = s->snap[k];
            memset(t.snap, 0, sizeof t.snap); t.nsnap = 0;
            for (int i = n; i < t.nrec; i++) memset(&t.rec[i], 0, sizeof(Rec));
            t.nrec = (uint8_t)n;
            for (int i = 0; i < n; i++) t.rec[i].level = SYNCED;
            memset(&t.mem, 0, sizeof t.mem);
            t.up = 0; t.att = t.att_a = t.att_g = t.killing = 0; t.powers++;
            t.want = t.now.dir == HOLD ? W_HOLD : W_NONE; t.wg = t.now.g;
            emit(&t, 1, "POWER FAILURE: the file is %s/a%d+%d, %d journal records kept", dirs[t.now.dir], t.now.a, t.now.g, n);
        }
    }
    if (s->att == 1) for (int r = 2; r < 4; r++) { S t = *s; t.att = r; emit(&t, 0, "taskrun: the attempt ends %s", r == 2 ? "with success" : "in failure"); }
    // the owner
    if (s->moves < maxm && s->now.dir && !(nodown && s->up != 2)) {
        static const uint8_t from[] = {READY, ACTIVE, DEFERRED, HOLD, FAILED, READY, ACTIVE, DEFERRED, HOLD};
        static const uint8_t to[] = {HOLD, HOLD, HOLD, READY, READY, FAILED, FAILED, FAILED, FAILED};
        for (int k = 0; k < 9; k++) if (s->now.dir == from[k]) {
            S t = *s;
            int k6 = final_of(s, 0, s->now.g), over = k6 && s->rec[k6 - 1].verb != FINAL_OK;
            t.moves++;
            put(&t, to[k], s->now.a, s->now.g);
            t.want = to[k] == HOLD ? W_HOLD : to[k] == READY ? W_RUN : W_CANCEL;
            t.wg = s->now.g;
            if (from[k] == FAILED && !fix[FX_GEN] && over) { t.wg = s->now.g + 1; if (t.wg > MAXG) continue; }
            else if (from[k] == FAILED && t.wg > MAXG) continue;
            emit(&t, 1, "OWNER: mv %s/ %s/ (a%d+%d)", dirs[from[k]], dirs[to[k]], s->now.a, s->now.g);
        }
    }
    if (!s->up) { S t = *s; t.up = 1; for (int i = 0; i < t.nrec; i++) t.rec[i].level = SYNCED; t.nsnap = 0; memset(t.snap, 0, sizeof t.snap); emit(&t, 0, "taskd starts, syncs old segments and directories"); return; }
    if (s->up == 1) { S t = *s; t.up = 2; t.mem = s->now; emit(&t, 0, "taskd: scan finds %s/a%d+%d", dirs[s->now.dir], s->now.a, s->now.g); return; }
    int mem = 0, wr = 0;
    for (int k = 0; k < s->nrec; k++) { mem |= s->rec[k].level == MEM; wr |= s->rec[k].level == WRITTEN; }
    if (mem || wr) {
        S t = *s;
        for (int k = 0; k < t.nrec; k++) t.rec[k].level = mem ? (t.rec[k].level == MEM ? WRITTEN : t.rec[k].level) : SYNCED;
        for (int g = 0; g <= MAXG; g++) { int n = 0; for (int k = 0; k < t.nrec; k++) n += is_final(t.rec[k].verb) && t.rec[k].g == g && t.rec[k].level == SYNCED; if (n > 1) { bad("P2: two durable ends of one generation"); return; } }
        emit(&t, 0, mem ? "journal: write" : "journal: fdatasync");
    }
    Place p = s->now;
    if (!same(s->mem, p)) {                 // an event, or ENOENT: taskd looks where the run is
        S t = *s;
        t.mem = p;
        emit(&t, 0, "taskd: notices the run in %s/a%d+%d", dirs[p.dir], p.a, p.g);
        if (s->att == 0 && s->mem.dir == ACTIVE) goto start;   // it may send a job line before it notices
        return;
    }
    if (ckpt && !mem && !wr && s->nrec > s->ck && s->nrec && !leftover(s, p)) {
        S t = *s;
        t.ck = s->nrec; t.nsnap = 0; memset(t.snap, 0, sizeof t.snap);
        t.ckg = 0;
        if (fix[FX_CKRUN]) for (int g = 1; g <= MAXG; g++) if (has(s, 0, OPRETRY, g) && !final_of(s, 0, g)) t.ckg = (uint8_t)g;
        emit(&t, 1, "taskd: checkpoint");
    }
    if (!p.dir) { if (s->att == 1) { S t = *s; t.att = 4; emit(&t, 0, "taskd: kills"); } if (!moves) rest(s); return; }
    int dead = s->att != 1;
    // an attempt's end arrives
    if (s->att >= 2) {
        S t = *s;
        t.att = 0;
        int g = s->att_g, a = s->att_a;
        if (final_of(s, 0, g) || s->att == 4 || g != p.g) { emit(&t, 0, "taskd: end of attempt, not counted"); return; }
        if (s->att == 2) { log_(&t, FINAL_OK, a, g); emit(&t, 0, "taskd: journal end final=yes success +%d", g); return; }
        if (a + 1 < MAXA && p.dir == ACTIVE) { log_(&t, RETRY, a + 1, g); put(&t, DEFERRED, a + 1, g); t.mem = t.now; emit(&t, 0, "taskd: journal retry, active/ -> deferred/ID:%d", a + 2); return; }
        if (a + 1 < MAXA && p.dir == HOLD) { emit(&t, 0, "taskd: failed attempt of a held run, not counted"); return; }
        log_(&t, FINAL_FAIL, a, g); emit(&t, 0, "taskd: journal end final=yes failure +%d", g);
        return;
    }
    int left = leftover(s, p), k = final_of(s, s->ck, p.g);
    if (left) {
        if (s->att == 1) { S t = *s; t.att = 4; emit(&t, 0, "taskd: kills, the run has ended"); return; }
        if (s->rec[k - 1].level == SYNCED) { S t = *s; step6(&t); t.mem = t.now; emit(&t, 0, "taskd: 6 from %s/ (end wins)", dirs[p.dir]); return; }
        return;
    }
    switch (p.dir) {
    case HOLD: case FAILED:
        if (!dead) { S t = *s; t.att = 4; emit(&t, 0, "taskd: kills the attempt of the %s run", p.dir == HOLD ? "held" : "cancelled"); return; }
        if (p.dir == FAILED) {
            int ended = final_of(s, s->ck, p.g) != 0;
            int live = fix[FX_GEN] ? (p.g == 0 || has(s, s->ck, OPRETRY, p.g) || s->ckg == p.g) : (s->ck == 0);
            if (!ended && live) { S t = *s; log_(&t, FINAL_CANCEL, p.a, p.g); emit(&t, 0, "taskd: journal end final=yes cancelled +%d", p.g); return; }
        }
        break;
    case READY: {
        S t = *s;
        if (!dead && s->att_g == p.g) { put(&t, ACTIVE, p.a, p.g); t.mem = t.now; emit(&t, 0, "taskd: puts a running run back into active/"); return; }
        if (!dead) { t.att = 4; emit(&t, 0, "taskd: kills an old attempt"); return; }
        int g = p.g, a = p.a;
        if (fix[FX_GEN]) {
            if (p.g && !has(s, s->ck, OPRETRY, p.g) && s->ckg != p.g) { log_(&t, OPRETRY, 0, p.g); emit(&t, 0, "taskd: journal retry +%d", p.g); return; }
        } else if (final_of(s, s->ck, p.g)) {
            g = p.g + 1; a = 0;
            if (g > MAXG) return;
            if (!s->moves) { bad("a retry that nobody asked for"); return; }
            log_(&t, OPRETRY, 0, g); put(&t, READY, a, g); t.mem = t.now; emit(&t, 0, "taskd: journal retry +%d, ready/ID -> ready/ID+%d", g, g); return;
        }
        put(&t, ACTIVE, a, g); t.mem = t.now;
        emit(&t, 0, "taskd: claims, ready/ -> active/ (a%d+%d)", a, g);
        return;
    }
    case DEFERRED: {
        S t = *s;
        if (!dead) { t.att = 4; emit(&t, 0, "taskd: kills an old attempt"); return; }
        put(&t, READY, p.a, p.g); t.mem = t.now; emit(&t, 0, "taskd: due, deferred/ -> ready/");
        return;
    }
    case ACTIVE:
    start:
        if (s->att == 0) {
            S t = *s;
            Place q = s->mem.dir == ACTIVE ? s->mem : p;
            int f = final_of(s, 0, q.g);
            if (f && s->rec[f - 1].level == SYNCED && same(s->mem, p)) { bad("P2: a run is started again after its durable end"); return; }
            if (f) return;
            log_(&t, START, q.a, q.g); t.att = 1; t.att_a = q.a; t.att_g = q.g;
            emit(&t, 0, "taskd: journal start a%d+%d, job line", q.a, q.g);
            return;
        }
        return;
    }
    if (!moves) rest(s);
}
int main(int argc, char **argv) {
    int stop = 0;
    for (int k = 0; k < FX_N; k++) fix[k] = 1;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (!strcmp(a, "-c")) ckpt = 1; else if (!strcmp(a, "-d")) nodown = 1; else if (!strcmp(a, "-1")) stop = 1;
        else if (i + 1 >= argc) return 2;
        else if (!strcmp(a, "-M")) maxm = atoi(argv[++i]); else if (!strcmp(a, "-K")) maxk = atoi(argv[++i]);
        else if (!strcmp(a, "-P")) maxp = atoi(argv[++i]); else if (!strcmp(a, "-l")) limit_states = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(a, "-x")) {
            int hit = 0;
            i++;
            for (int k = 0; k < FX_N; k++) if (!strcmp(argv[i], fx_name[k])) { fix[k] = 0; hit = 1; }
            if (!hit) return 2;
        } else return 2;
    }
    S s;
    memset(&s, 0, sizeof s);
    s.now.dir = READY;
    return explore(&s, stop);
}
