/* SPDX-License-Identifier: Apache-2.0 */
/* The cheapest program there is: exit_group(0) in three instructions. */
    .globl _start
_start:
#if defined(__x86_64__)
    xor %edi, %edi
    mov $231, %eax
    syscall
#elif defined(__aarch64__)
    mov x0, #0
    mov x8, #94
    svc #0
#else
#error "write exit_group(0) for this machine"
#endif
    .section .note.GNU-stack, "", %progbits
