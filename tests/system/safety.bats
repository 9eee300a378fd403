# SPDX-License-Identifier: GPL-2.0-or-later
# A target is never harmed, and nothing is left in it.
load helper

confined() { # MODE [late]
	workload confined "$@"
	observe --json --top 0 -p "$WORK" 0.3
	work '^confined$'
	wait_for "the truth" workload_says '^\{'
	snapshot
	finish
}

@test "seccomp that kills, put on before" { confined kill; }
@test "seccomp that kills, put on after" { confined kill late; }
@test "seccomp that refuses, put on before" { confined errno; }
@test "seccomp that refuses, put on after" { confined errno late; }
@test "strict seccomp, put on before" { confined strict; }
@test "strict seccomp, put on after" { confined strict late; }

@test "seccomp: where return probes are allowed the books are exact" {
	workload confined kill
	observe --json --top 0 -p "$WORK" 0.3
	work '^confined$'
	wait_for "the truth" workload_says '^\{'
	snapshot
	same_sites
	finish
}

@test "SIGKILL of memwatch leaves no probe, and the target running" {
	workload basic
	observe --json -p "$WORK" 0.3
	kill -KILL "$WATCH"
	ended 137
	untouched
	work
	finish
}

@test "SIGKILL of memwatch while the target churns" {
	workload fullspeed
	observe --json -p "$WORK" 0.2
	wait_for "a snapshot" seen '.totals.alloc_count > 1000'
	kill -KILL "$WATCH"
	ended 137
	untouched
	work
	work 'still churning'
	finish
}

@test "SIGKILL of memwatch while it observes the whole system" {
	workload fullspeed
	observe --json --max-blocks 8000000 0.2
	wait_for "a snapshot" seen '.totals.alloc_count > 1000'
	kill -KILL "$WATCH"
	ended 137
	untouched
	work
	work 'still churning'
	finish
}

@test "SIGTERM and SIGHUP end it as Ctrl-C does" {
	local signal
	workload basic
	for signal in TERM HUP; do
		observe --json -p "$WORK" 60
		kill -$signal "$WATCH"
		ended 0
		last_snapshot
	done
	untouched
	finish_early
}

# A workload that was not let to work yet: once for the work, once for the end.
finish_early() {
	work
	finish
}

# Only there the program decides which calls have a return probe.
session_links() {
	"$MEMWATCH" doctor 2>/dev/null | grep -q '^links  *session  *works' || skip "no session links on this kernel"
}

# The machine's C library may be probed by something else, which arms return probes in every process that comes by.
own_libc() {
	cp -L "$LIBRARIES/libc.so.6" "$T"
	WORKLOAD_ENV=(LD_LIBRARY_PATH="$T")
}

@test "a program that handles system calls itself gets none of ours" {
	session_links
	own_libc
	workload dispatched
	observed
	snapshot_says '.lost.inflight == 20 and .totals.alloc_count == 0'
	finish
}

@test "a sanitizer finds the callers of malloc as ever" {
	workload suppressed
	observed
	same_sites leaf
	finish
}

# A handler's call that interrupts another is lost, and said to be; the other is not.
interrupted() { # WHERE
	session_links
	own_libc
	workload handlers "$1"
	observe --json --top 0 -p "$WORK" 0.3
	work
	snapshot
	equal "$(grep '^{' "$T/truth" | jq .sites.churned.alloc_count)" \
		"$(jq '[.sites[] | select(.stack[0].function == "churned").alloc_count] | add' "$SNAPSHOT")" "blocks"
	finish
}

@test "malloc is interrupted, and the handler maps memory on a stack above" { interrupted above; }
@test "malloc is interrupted, and the handler maps memory on a stack below" { interrupted below; }

@test "with -p the other processes' code stays as it was" {
	workload basic
	another shapes
	observe --json -p "$WORK" 0.3
	text_clean "$OTHER"
	text_clean "$WORK" && return 1
	work
	snapshot
	untouched
	finish
}

@test "a child forked while observed lives on when memwatch has gone" {
	workload forks
	observe --json -p "$WORK" 0.3
	release
	wait_for "both truths" two_truths
	snapshot
	local child
	child=$(pgrep -P "$WORK")
	wait_for "the child's code is clean" text_clean "$child"
	untouched
	release
	finish
}

@test "a child of an observed process, whose free is probed behind a push" {
	WORKLOAD_ENV=(LD_PRELOAD="$W/libpushed.so")
	workload forks
	observe --json -p "$WORK" 0.3
	release
	wait_for "both truths" two_truths
	snapshot
	release
	finish
}
two_truths() { has_line "$T/truth" '^\{' 2; }

@test "a target that exits while memwatch attaches, again and again" {
	local i status
	for ((i = 0; i < 10; i++)); do
		sleep 0.0$i 3>&- &
		status=0
		timeout 120 "$MEMWATCH" --json -p $! 0.05 >"$T/out" 2>"$T/err" || status=$?
		[[ $status = 0 || $status = 1 ]] || { echo "status $status" >&2; return 1; }
		[[ $status = 0 ]] || one_line_of_complaint
		wait
	done
}

@test "a target that ends when its probes are about to be attached: one line" {
	command -v gdb >/dev/null || skip "gdb is not installed"
	sleep 1000 3>&- {LINE}>&- &
	OTHER=$!
	env -u DEBUGINFOD_URLS SHELL=/bin/sh timeout 120 gdb -nx -batch -ex 'tbreak watch__attach_process' -ex run \
		-ex 'break attach__points' -ex continue \
		-ex "shell kill -KILL $OTHER; while kill -0 $OTHER 2>/dev/null; do :; done" -ex delete -ex continue \
		--args "$MEMWATCH" --json -p "$OTHER" 0.1 </dev/null >"$T/gdb.err" 2>&1 3>&- {LINE}>&- || true
	equal "memwatch: process $OTHER has ended" "$(grep '^memwatch: ' "$T/gdb.err")" "what is said"
	OTHER=''
}
