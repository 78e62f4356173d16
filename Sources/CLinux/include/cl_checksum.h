// SPDX-License-Identifier: Apache-2.0
#ifndef CL_CHECKSUM_H
#define CL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli, RFC 3720 B.4) of the bytes, continued from `crc` (0 to begin).
uint32_t cl_crc32c(uint32_t crc, const void *bytes, size_t count);

#endif
