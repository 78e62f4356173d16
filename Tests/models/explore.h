// SPDX-License-Identifier: Apache-2.0
// A small explicit-state checker: breadth first, so the first trace of a property is a shortest one.
// A model defines `S` (plain bytes, zeroed padding), `start`, `next` (calls emit/rest) and `show`.
// emit(state, fault, label...) adds a successor; bad(text) reports a broken property once, with its trace.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static S *states;
static uint32_t *parent_of, *table_, n_states, n_expanded, cap_states = 1u << 16, cap_table = 1u << 18;
static uint32_t limit_states = 12000000, current;
static int want_label, moves, violations, stopped;
static S wanted;
static char found_label[200];
static const char *seen_bad[32];

static uint64_t hash_state(const S *s) {
    const uint8_t *p = (const uint8_t *)s;
    uint64_t h = 1469598103934665603ull, word;
    size_t i = 0;
    for (; i + 8 <= sizeof *s; i += 8) {
        memcpy(&word, p + i, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    }
    for (; i < sizeof *s; i++) h = (h ^ p[i]) * 1099511628211ull;
    return h ^ (h >> 29);
}

static void grow(void) {
    if (n_states + 1 >= cap_states) {
        cap_states *= 2;
        states = realloc(states, (size_t)cap_states * sizeof *states);
        parent_of = realloc(parent_of, (size_t)cap_states * sizeof *parent_of);
    }
    if (n_states * 2 >= cap_table) {
        cap_table *= 4;
        free(table_);
        table_ = malloc((size_t)cap_table * 4);
        memset(table_, 255, (size_t)cap_table * 4);
        for (uint32_t i = 0; i < n_states; i++) {
            uint64_t h = hash_state(&states[i]);
            while (table_[h & (cap_table - 1)] != UINT32_MAX) h++;
            table_[h & (cap_table - 1)] = i;
        }
    }
}

static void add(const S *s, uint32_t from) {
    uint64_t h = hash_state(s);
    for (;; h++) {
        uint32_t i = table_[h & (cap_table - 1)];
        if (i == UINT32_MAX) break;
        if (!memcmp(&states[i], s, sizeof *s)) return;
    }
    if (n_states >= limit_states) { stopped = 1; return; }
    table_[h & (cap_table - 1)] = n_states;
    states[n_states] = *s;
    parent_of[n_states++] = from;
    grow();
}

static void emit(const S *s, int fault, const char *format, ...) {
    if (!fault) moves++;
    if (want_label) {
        if (!found_label[0] && !memcmp(s, &wanted, sizeof *s)) {
            va_list a;
            va_start(a, format);
            vsnprintf(found_label, sizeof found_label, format, a);
            va_end(a);
        }
        return;
    }
    add(s, current);
}

static void next(const S *s);

static void print_trace(uint32_t i) {
    uint32_t path[400], n = 0;
    for (; i != UINT32_MAX && n < 400; i = parent_of[i]) path[n++] = i;
    for (uint32_t k = n - 1; k-- > 0;) {
        want_label = 1;
        found_label[0] = 0;
        wanted = states[path[k]];
        S from = states[path[k + 1]];
        next(&from);
        want_label = 0;
        printf("    %2u %s\n", n - 1 - k, found_label);
    }
}

static void bad(const char *text) {
    if (want_label) return;
    for (int i = 0; i < 32; i++) {
        if (seen_bad[i] && !strcmp(seen_bad[i], text)) return;
        if (!seen_bad[i]) { seen_bad[i] = text; break; }
    }
    violations++;
    printf("  VIOLATION: %s\n", text);
    print_trace(current);
}

static int explore(const S *start, int stop_at_first) {
    states = malloc((size_t)cap_states * sizeof *states);
    parent_of = malloc((size_t)cap_states * sizeof *parent_of);
    table_ = malloc((size_t)cap_table * 4);
    memset(table_, 255, (size_t)cap_table * 4);
    add(start, UINT32_MAX);
    for (current = 0; current < n_states; current++) {
        S s = states[current];
        moves = 0;
        next(&s);
        n_expanded++;
        if (violations && stop_at_first) break;
    }
    printf("  %u states, %d violations%s\n", n_expanded, violations, stopped ? ", NOT EXHAUSTED (state limit)" : "");
    return violations ? 1 : stopped ? 2 : 0;
}
