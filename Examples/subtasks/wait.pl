#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Drops three subtasks, sleeps until they have ended, and says how.
use strict;
use warnings;

chdir $ENV{TASK_SUBMIT} or die "$ENV{TASK_SUBMIT}: $!\n";

# A name that begins with a dot is no drop: the rename makes it one, whole.
sub put {
    my ($name, $text) = @_;
    open my $file, '>', '.new' or die ".new: $!\n";
    print $file $text;
    close $file or die ".new: $!\n";
    rename '.new', $name or die "$name: $!\n";
}

my @names = map { "part$_.task" } 1 .. 3;
put("part$_.task", "[Args]\nargs=part $_\n[Command]\ncommand=echo\n") for 1 .. 3;
put('.wait', join '', map { "$_\n" } @names);
select undef, undef, undef, 0.05 while -e '.wait';
for my $name (@names) {
    open my $file, '<', "$name.end" or die "$name.end: $!\n";
    print $name, ' ', (split ' ', <$file>)[0], "\n";
}
