/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer as a library (compiler-rt, libclang_rt.fuzzer_no_main): runs the callback on inputs. */
#pragma once
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
