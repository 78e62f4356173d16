// SPDX-License-Identifier: Apache-2.0
// A no-op that pays for a C library, as nearly every program does; linked statically.
int main(void) { return 0; }
