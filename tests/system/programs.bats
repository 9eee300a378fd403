# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that we did not write, held on a line of their standard input.
load helper

# The program prints "ready", reads a line, works, prints "{done}", reads a line, and ends.
program() { # PROGRAM ARGUMENT…
	workload "$@"
	observe --json --top 0 -p "$WORK" 0.5
	work '^\{done'
	snapshot
}

total() { jq ".totals.$1" "$SNAPSHOT"; }

@test "perl: its hash is in its own functions" {
	program /usr/bin/perl -e '$| = 1; print "ready\n"; <STDIN>; my %h;
		$h{"key$_"} = "value $_" x 4 for 1 .. 20000; print "{done}\n"; <STDIN>; exit 0'
	[[ $(total live_count) -ge 40000 ]] # a key and a value each; their heads are in arenas
	snapshot_says '[.sites[] | select(.stack[0].function == "Perl_safesysmalloc") | .live_count] | add >= 20000'
	nothing_lost
	finish 0
}

@test "cgo: a stack ends where Go's begins, and says that it is not whole" {
	command -v go >/dev/null || skip "no go"
	mkdir "$T/cgo"
	cat >"$T/cgo/main.go" <<-'END'
		package main
		/*
		#include <stdlib.h>
		__attribute__((noinline)) static void *from_c(int n)
		{ void *p = malloc(n); __asm__(""); return p; }
		*/
		import "C"
		import ("fmt"; "os"; "unsafe")
		var kept []unsafe.Pointer
		func main() {
			fmt.Println("ready"); os.Stdin.Read(make([]byte, 1))
			for i := 0; i < 100; i++ { kept = append(kept, C.from_c(1000)) }
			fmt.Println("{done}"); os.Stdin.Read(make([]byte, 1))
		}
	END
	(cd "$T/cgo" && HOME=$T GO111MODULE=off go build -o "$T/cgo/program" main.go)
	program "$T/cgo/program"
	snapshot_says '[.sites[] | select(.stack[0].function == "from_c")]
		| map([.live_count, .live_bytes, .end, .stack[-1].function])
			== [[100, 100000, "broken", "runtime.asmcgocall"]]'
	finish 0
}

@test "python3: a thousand blocks of a known size" {
	program /usr/bin/python3 -c 'import sys
print("ready", flush=True); sys.stdin.readline()
kept = [bytes(1000) for _ in range(1000)]
print("{done}", flush=True); sys.stdin.readline()'
	snapshot_says 'any(.sites[]; .live_bytes == 1033000 and .live_count == 1000)'
	finish 0
}

@test "python3 with PYTHONMALLOC=malloc: every float" {
	WORKLOAD_ENV=(PYTHONMALLOC=malloc)
	program /usr/bin/python3 -c 'import sys, random
print("ready", flush=True); sys.stdin.readline()
kept = [random.random() for _ in range(50000)]
print("{done}", flush=True); sys.stdin.readline()'
	snapshot_says '[.sites[] | select(.live_count >= 10000 and .live_bytes == .live_count * 24)] | length > 0
		and (map(.live_count) | add) >= 49000'
	finish 0
}

@test "sqlite3: a table in memory" {
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
	mkfifo "$T/line"
	sqlite3 :memory: <"$T/line" >"$T/truth" 2>"$T/workload.err" 3>&- &
	WORK=$!
	exec {LINE}>&-
	exec {LINE}>"$T/line"
	echo "select 'ready';" >&"$LINE"
	wait_for "sqlite3" workload_says ready
	observe --json --top 0 -p "$WORK" 0.5
	echo "create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
		insert into t select i, hex(zeroblob(100)) from n; select '{done}';" >&"$LINE"
	wait_for "the table" workload_says '\{done'
	snapshot
	[[ $(total live_bytes) -ge 4000000 ]]
	snapshot_says 'any(.sites[].stack[]; .module | test("sqlite3"))'
	untouched
	echo '.exit 5' >&"$LINE"
	wait_for "sqlite3 ends" gone "$WORK"
	local status=0
	wait "$WORK" || status=$?
	WORK=''
	equal 5 "$status" "sqlite3's exit status"
}

@test "jq: an array of a hundred thousand" {
	mkfifo "$T/line"
	jq --unbuffered -c 'if . == 1 then "ready"
			elif . == 2 then [range(100000) | tostring] | "{done}\(length)" else . end' \
		<"$T/line" >"$T/truth" 2>"$T/workload.err" 3>&- &
	WORK=$!
	exec {LINE}>&-
	exec {LINE}>"$T/line"
	echo 1 >&"$LINE"
	wait_for "jq" workload_says ready
	observe --json --top 0 -p "$WORK" 0.5
	echo 2 >&"$LINE"
	wait_for "the array" workload_says 'done\}100000'
	snapshot
	[[ $(total alloc_count) -ge 100000 ]]
	snapshot_says 'any(.sites[]; .stack[0].module | test("libjq"))'
	untouched
	exec {LINE}>&-
	LINE=''
	wait_for "jq ends" gone "$WORK"
	wait "$WORK"
	WORK=''
}

@test "redis-server on jemalloc: as many blocks as keys, and all of them back" {
	command -v redis-server >/dev/null || skip "redis-server is not installed"
	local socket=$T/socket
	redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
		--enable-debug-command local --dir "$T" >"$T/redis" 2>&1 3>&- &
	WORK=$!
	wait_for "redis answers" redis_answers
	observe --json --top 0 -p "$WORK" 0.5
	redis-cli -s "$socket" debug populate 10000 key 100 >/dev/null
	wait_for "the keys" seen '.totals.live_count >= 20000'
	redis-cli -s "$socket" flushall >/dev/null
	snapshot
	[[ $(total live_count) -le 2000 ]]
	untouched
	redis-cli -s "$socket" shutdown nosave
	wait_for "redis ends" gone "$WORK"
	wait "$WORK"
	WORK=''
}
redis_answers() { [[ $(redis-cli -s "$T/socket" ping 2>/dev/null) = PONG ]]; }
