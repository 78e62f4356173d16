#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks. A name that begins with a dot is no drop: the rename makes it one, whole.
use strict;
use warnings;

for my $part (1 .. 3) {
    my $name   = "part$part.task";
    my $hidden = "$ENV{TASK_SUBMIT}/.$name";
    open my $file, '>', $hidden or die "$hidden: $!\n";
    print $file "[Args]\nargs=part $part\n[Command]\ncommand=echo\n";
    close $file or die "$hidden: $!\n";
    rename $hidden, "$ENV{TASK_SUBMIT}/$name" or die "$name: $!\n";
}
