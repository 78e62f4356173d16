// SPDX-License-Identifier: Apache-2.0
#include "clinux.h"

#include <string.h>
#include <sys/auxv.h>

static uint32_t table_crc(uint32_t crc, const uint8_t *bytes, size_t count) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
            table[i] = c;
        }
    while (count--) crc = table[(crc ^ *bytes++) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t fast_crc(uint32_t crc, const uint8_t *bytes,
                                                            size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    while (count--) crc = _mm_crc32_u8(crc, *bytes++);
    return crc;
}
static int has_fast(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t fast_crc(uint32_t crc, const uint8_t *bytes, size_t count) {
    return table_crc(crc, bytes, count);
}
static int has_fast(void) { return 0; }
#endif

uint32_t cl_crc32c(uint32_t crc, const void *bytes, size_t count) {
    crc = ~crc;
    crc = has_fast() ? fast_crc(crc, bytes, count) : table_crc(crc, bytes, count);
    return ~crc;
}
