// SPDX-License-Identifier: Apache-2.0
// A C function cannot return twice on two stacks: the child must leave the frame in assembler.
#include "clone_entry.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>

long cl_clone_entry(struct clone_args *args, void (*entry)(void *), void *argument) {
    long result;
#if defined(__x86_64__)
    register void *kept __asm__("r12") = argument;
    register void (*start)(void *) __asm__("r13") = entry;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r12, %%rdi\n\t"
        "call *%%r13\n\t"
        "hlt\n\t"
        "1:"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(args), "S"(sizeof *args), "r"(kept), "r"(start)
        : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = (long)sizeof *args;
    register void *kept __asm__("x19") = argument;
    register void (*start)(void *) __asm__("x20") = entry;
    __asm__ volatile(
        "svc #0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x0, x19\n\t"
        "blr x20\n\t"
        "brk #1\n\t"
        "1:"
        : "+r"(x0)
        : "r"(x1), "r"(number), "r"(kept), "r"(start)
        : "memory");
    result = x0;
#else
#error "cl_clone_entry knows x86_64 and aarch64"
#endif
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}
