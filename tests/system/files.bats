# SPDX-License-Identifier: GPL-2.0-or-later
# Snapshots go to files and come back; files of others are read, and hostile ones do no harm.
load helper

recorded() { # [OPTION…]: a file of shapes is at $T/heap.pb.gz, made by Ctrl-C
	workload shapes
	observe record -o "$T/heap.pb.gz" -p "$WORK" "$@" 0.3
	work
	kill -INT "$WATCH"
	ended 0
}

reported() { # [OPTION…]: the file is the last snapshot
	SNAPSHOT=$T/snapshot
	"$MEMWATCH" report "${FILE:-$T/heap.pb.gz}" --json --top 0 "$@" >"$SNAPSHOT"
	consistent "$SNAPSHOT"
}

refused() { # STATUS TEXT COMMAND…: one line that has the text
	local status=0 wanted=$1 text=$2
	shift 2
	"$MEMWATCH" "$@" >"$T/out" 2>"$T/refused" || status=$?
	equal "$wanted" "$status" "status of $*"
	equal 1 "$(wc -l <"$T/refused")" "lines of complaint about $*"
	grep -qF -- "$text" "$T/refused" || { cat "$T/refused" >&2; return 1; }
	[[ ! -s $T/out ]]
}

@test "a recorded file has the truth, and nothing lies beside it" {
	recorded
	reported
	same_sites
	same_totals
	equal 600 "$(stat -c %a "$T/heap.pb.gz")" "mode"
	equal 1 "$(find "$T" -name '*heap*' -o -name '.memwatch*' | wc -l)" "files"
	finish
}

owner() { stat -c '%u:%g %a' "$1"; }

@test "files that are made under sudo are its user's, where they could be" {
	local folder id
	recorded
	finish
	mkdir "$T/own" "$T/roots" "$T/shared" "$T/open"
	chown 4711 "$T/own"
	chmod 1777 "$T/shared"
	chmod 777 "$T/open"
	for folder in own roots shared open; do
		SUDO_UID=4711 SUDO_GID=4712 "$MEMWATCH" export "$T/heap.pb.gz" --format csv -o "$T/$folder/out"
	done
	equal "4711:4712 600" "$(owner "$T/own/out")" "in the user's folder"
	equal "4711:4712 600" "$(owner "$T/shared/out")" "in a folder like /tmp"
	equal "0:0 600" "$(owner "$T/roots/out")" "in root's folder"
	equal "0:0 600" "$(owner "$T/open/out")" "in one where files are anybody's"
	for id in '' 4711x -1 +4711 ' 4711' 0x10 4294967295 99999999999999999999; do
		SUDO_UID=$id SUDO_GID=4712 "$MEMWATCH" export "$T/heap.pb.gz" --format csv -o "$T/shared/out"
		equal "0:0 600" "$(owner "$T/shared/out")" "SUDO_UID=$id"
	done
	equal 1 "$(find "$T/shared" -type f | wc -l)" "files"
}

in_container() { # PID ID: where cgroups can be made here; teardown removes it
	local mount
	for mount in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts); do
		mkdir -p "$mount/docker/$2" 2>/dev/null || continue
		CGROUP=$mount/docker/$2
		echo "$1" 2>/dev/null >"$CGROUP/cgroup.procs" && return
		leave_container
	done
	return 1
}

@test "the container of a process is in the file" {
	local id
	id=$(printf '%064x' $$)
	workload shapes
	in_container "$WORK" "$id" || skip "no cgroup can be made here"
	observe record -o "$T/heap.pb.gz" -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 0
	finish
	reported
	equal "$id" "$(jq -r '.processes[0].container' "$SNAPSHOT")" container
	command -v go >/dev/null || return 0
	HOME=$T go tool pprof -tags "$T/heap.pb.gz" 2>/dev/null | grep -q "$id"
}

@test "record ends with its target, and has what it held" {
	workload shapes
	observe record -o "$T/heap.pb.gz" -p "$WORK" 0.3
	work
	finish
	ended 0
	reported
	same_totals
	snapshot_says '.processes[0].exited'
}

@test "SIGUSR1 writes one file more, --for ends, --every makes a series" {
	workload shapes
	observe record -o "$T/heap.pb.gz" -p "$WORK" 0.3
	kill -USR1 "$WATCH"
	wait_for "a numbered file" test -s "$T/heap-0001.pb.gz"
	kill -INT "$WATCH"
	ended 0
	[[ -s $T/heap.pb.gz ]]
	observe record -o "$T/series.pb.gz" -p "$WORK" --every 0.1 60
	wait_for "the third of a series" test -s "$T/series-0003.pb.gz"
	kill -INT "$WATCH"
	ended 0
	[[ -s $T/series-0001.pb.gz && -s $T/series-0002.pb.gz && ! -e $T/series.pb.gz ]]
	"$MEMWATCH" record -q -o "$T/for.pb.gz" -p "$WORK" --for 0.1 --max-blocks 10000 3>&- {LINE}>&-
	[[ -s $T/for.pb.gz ]]
	"$MEMWATCH" record -q -o "$T/both.pb.gz" -p "$WORK" --every 60 --for 0.1 --max-blocks 10000 3>&- {LINE}>&-
	[[ -s $T/both-0001.pb.gz && ! -e $T/both.pb.gz ]] # the end is one of the series
	work
	finish
}

holds_usr1() {
	local mask
	mask=$(sed -n 's/^SigBlk:\t//p' "/proc/$WATCH/status") || return
	((0x$mask & 1 << 9)) || gone "$WATCH"
}
@test "SIGUSR1 before it observes waits until it does; to the other verbs it is nothing" {
	workload shapes
	start_memwatch record -o "$T/heap.pb.gz" -p "$WORK" 60
	wait_for "SIGUSR1 to be held" holds_usr1
	kill -USR1 "$WATCH"
	wait_for "a numbered file" test -s "$T/heap-0001.pb.gz" -o ! -e "/proc/$WATCH/maps"
	kill -INT "$WATCH"
	ended 0
	[[ -s $T/heap-0001.pb.gz && -s $T/heap.pb.gz ]]
	observe --json -p "$WORK" 60
	kill -USR1 "$WATCH"
	work
	snapshot
	same_totals
	finish
}

@test "what was there stays when the file cannot be written" {
	mkdir "$T/disk"
	mount -t tmpfs -o size=8k tmpfs "$T/disk" || skip "no mount here"
	echo old >"$T/disk/heap.pb.gz"
	head -c 100000 /dev/zero >"$T/disk/fill" 2>/dev/null || true
	workload shapes
	observe record -o "$T/disk/heap.pb.gz" -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 1
	grep -q 'No space left' "$T/err"
	equal old "$(cat "$T/disk/heap.pb.gz")" "the old file"
	equal 2 "$(find "$T/disk" -type f | wc -l)" "files"
	umount "$T/disk"
	finish
}

@test "every view of a file says the same twice" {
	local by
	recorded
	for by in stack function line file module process; do
		"$MEMWATCH" report "$T/heap.pb.gz" --by $by >"$T/one"
		"$MEMWATCH" report "$T/heap.pb.gz" --by $by >"$T/two"
		cmp "$T/one" "$T/two"
	done
	finish
}

watch_beside() { # NAME ARGUMENT…: one more memwatch; it writes to $T/NAME.out
	observe "${@:2}" -p "$WORK" 1000
	mv "$T/out" "$T/$1.out"
	mv "$T/err" "$T/$1.err"
	BESIDE+=("$WATCH")
}

end_beside() {
	for WATCH in "${BESIDE[@]}"; do
		kill -INT "$WATCH"
		ended 0
	done
}

# What two that look at different times may say differently.
timeless() { # FILE of JSON
	jq -c 'walk(if type == "object" then del(.time, .elapsed_s, .interval_s, .growth_bytes_per_s) else . end)' "$1"
}

same_json() { # NAME OPTION…
	"$MEMWATCH" report "$T/heap.pb.gz" --json --top 0 "${@:2}" >"$T/$1.report"
	[[ -s $T/$1.out ]]
	diff <(timeless "$T/$1.out") <(timeless "$T/$1.report") >&2
}

same_text() { # NAME OPTION…: the first line has the time and rates
	"$MEMWATCH" report "$T/heap.pb.gz" --top 0 "${@:2}" >"$T/$1.report"
	[[ $(wc -l <"$T/$1.out") -gt 1 ]]
	diff <(tail -n +2 "$T/$1.out") <(tail -n +2 "$T/$1.report") >&2
}

# Each saw the same work; each writes once, when it is over.
same_as_live() { # PROGRAM [ARGUMENT…]
	BESIDE=()
	workload "$@"
	watch_beside record record -o "$T/heap.pb.gz"
	watch_beside json --json --top 0
	watch_beside text --plain --top 0
	watch_beside functions --json --top 0 --by function --cumulative --sort alloc
	watch_beside lines --plain --top 0 --by line --sort count
	work '"(end|totals)"'
	end_beside
	same_json json
	jq -e '.sites | length > 0' "$T/json.out"
	same_text text
	same_json functions --by function --cumulative --sort alloc
	same_text lines --by line --sort count
	finish
}

@test "report shows what the live command showed" { same_as_live shapes; }
@test "report shows what the live command showed: C++" { same_as_live cxx; }
@test "report shows what the live command showed: mappings" { same_as_live maps across; }
@test "report shows what the live command showed: a truncated stack" { same_as_live deep 300; }
@test "report shows what the live command showed: sites that rank the same" { same_as_live uppers 40; }

@test "report shows what the live command showed: Python" {
	cat >"$T/keeps.py" <<-'END'
		import sys
		print("ready", flush=True)
		sys.stdin.readline()
		kept = [bytearray(5000 + n) for n in range(50)]
		print('{"totals":{}}', flush=True)
		sys.stdin.readline()
		sys.exit(7)
	END
	same_as_live /usr/bin/python3 "$T/keeps.py"
	grep -q 'keeps.py:4: ' "$T/lines.out"
}

@test "go tool pprof reads our files, and sees the same bytes" {
	command -v go >/dev/null || skip "no go"
	recorded
	reported
	HOME=$T go tool pprof -top -unit b "$T/heap.pb.gz" >"$T/top" 2>/dev/null
	grep -q "of $(jq .totals.live_bytes "$SNAPSHOT")B total" "$T/top"
	HOME=$T go tool pprof -tags "$T/heap.pb.gz" 2>/dev/null | grep -q "$WORK"
	HOME=$T go tool pprof -top -diff_base "$T/heap.pb.gz" "$T/heap.pb.gz" >/dev/null 2>&1
	finish
}

page() { # PATH: of the web view on $PORT; no proxy stands before loopback
	python3 - "http://127.0.0.1:$PORT$1" >"$T/page" 2>"$T/page.err" <<-'END'
		import sys, urllib.request as request
		opener = request.build_opener(request.ProxyHandler({}))
		sys.stdout.write(opener.open(sys.argv[1], timeout=60).read().decode())
	END
}

# Another program may have taken the port in between: then pprof ends, and another port is tried.
serve() { # FILE
	PORT=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
	# The program itself: go tool would leave it behind.
	HOME=$T "$PPROF" -http="127.0.0.1:$PORT" -no_browser "$1" >"$T/pprof.err" 2>&1 3>&- {LINE}>&- &
	VIEW=$!
}

served() { # FILE PATH
	! gone "$VIEW" || serve "$1"
	page "$2"
}

@test "go tool pprof -http serves our files: a function and its bytes are on the page" {
	command -v go >/dev/null || skip "no go"
	recorded
	finish
	PPROF=$(HOME=$T go tool -n pprof)
	serve "$T/heap.pb.gz"
	wait_for "a page of pprof's" served "$T/heap.pb.gz" /ui/top
	grep -qF '422000 , [{"Name":"large","InlineLabel":"","Flat":400000,"Cum":400000,' "$T/page"
	grep -qF '{"Name":"few","InlineLabel":"","Flat":0,"Cum":400000,' "$T/page"
	page '/ui/top?si=alloc_objects'
	grep -qF '4018 , [{"Name":"churn","InlineLabel":"","Flat":3000,"Cum":3000,' "$T/page"
	page /ui/flamegraph
	grep -qF 'large\u0022,\u0022f\u0022:\u0022large\u0022,\u0022v\u0022:400000,' "$T/page"
}

@test "the Go runtime's heap profiles are read, packed or not" {
	command -v go >/dev/null || skip "no go"
	HOME=$T GO111MODULE=off go run "$ROOT/tests/fixtures/heap.go" "$T/go.pb.gz"
	FILE=$T/go.pb.gz reported
	snapshot_says '.sites | map(select(any(.stack[]; .function == "main.keeps")) | .live_bytes) | add >= 8388608'
	snapshot_says '.processes | length == 1 and (.[0] | has("peak_bytes") | not)'
	zcat "$T/go.pb.gz" >"$T/go.pb"
	cmp <("$MEMWATCH" report "$T/go.pb.gz" --json) <("$MEMWATCH" report "$T/go.pb" --json)
	refused 1 "holds no peaks" report "$T/go.pb" --sort peak
}

# Runs shapes on an allocator that profiles itself; go tool pprof makes a profile of the text that it writes.
profiled() { # LIBRARY VARIABLE=VALUE…: the text is made $T/text by text_of; $T/other.pb.gz is the profile
	[[ -e $LIBRARIES/$1 ]] || skip "no $1"
	command -v go >/dev/null || skip "no go"
	WORKLOAD_ENV=(LD_PRELOAD="$LIBRARIES/$1" "${@:2}")
	workload shapes
	work
	finish
	text_of "$T"/profile.*.heap >"$T/text"
	HOME=$T go tool pprof -proto -output "$T/other.pb.gz" "$T/text" 2>"$T/pprof.err" >&2
	FILE=$T/other.pb.gz reported
}

@test "tcmalloc's heap profiles, by go tool pprof, have the truth" {
	text_of() { cat "$@"; }
	profiled libtcmalloc.so.4 HEAPPROFILE="$T/profile"
	same_totals
	same_sites leaf "$(grep '^{' "$T/truth" | jq -c '.pid = null')"
	snapshot_says '(has("time") or (.processes[0] | has("pid"))) | not'
	equal 422000 "$("$MEMWATCH" export "$T/other.pb.gz" --format folded |
		awk '{ s += $NF } END { print s }')" folded
	"$MEMWATCH" report "$T/other.pb.gz" --by line --top 1 |
		grep -qE 'shapes\.c:[0-9]+: size=391 KiB, count=2, average=195 KiB$'
	refused 1 'is a heap profile as text: `go tool pprof -proto` makes' report "$T/text"
}

@test "jemalloc's heap profiles, by go tool pprof, have its size classes" {
	# Debian has no tool that makes pprof of heap_v2, and go's reads the older order of the same words.
	text_of() {
		awk '/^@/ { stack = $0 }
			sub(/^  t\*:/, "") { print stack ? $0 " " stack : "heap profile:" $0 " @ heap_v2/1" }
			/^MAPPED/ { maps = 1 }
			maps' "$@"
	}
	profiled libjemalloc.so.2 \
		MALLOC_CONF="prof:true,prof_final:true,prof_accum:true,lg_prof_sample:0,prof_prefix:$T/profile"
	diff - <(jq -r "$NAMES"'.sites[] | [.stack[] | name | select(IN("large", "small", "mixed", "spike", "churn"))]
		as [$name] | select($name) | "\($name) \(.live_count) \(.live_bytes) \(.alloc_count) \(.alloc_bytes)"' \
		"$SNAPSHOT" | sort) >&2 <<-'END'
		churn 0 0 3000 3072000
		large 2 458752 2 458752
		mixed 15 6240 15 6240
		small 1000 16000 1000 16000
		spike 0 0 1 917504
	END
}

@test "diff: what grew, its exit status, tracemalloc's words" {
	workload shapes
	observe record -o "$T/heap.pb.gz" -p "$WORK" 0.3
	kill -USR1 "$WATCH"
	wait_for "a numbered file" test -s "$T/heap-0001.pb.gz"
	work
	kill -INT "$WATCH"
	ended 0
	"$MEMWATCH" diff "$T/heap-0001.pb.gz" "$T/heap.pb.gz" --json --top 0 >"$T/diff"
	jq -e '.old.time < .time and .totals.live_bytes_change == 422000 and .new.rows == 3 and .grew.rows == 0
		and (.changes | map(.live_bytes_change) | add) == 422000' "$T/diff"
	"$MEMWATCH" diff "$T/heap-0001.pb.gz" "$T/heap.pb.gz" --by line --top 1 |
		grep -qE 'shapes.c:[0-9]+: size=391 KiB \(\+391 KiB\), count=2 \(\+2\), average=195 KiB$'
	"$MEMWATCH" diff "$T/heap-0001.pb.gz" "$T/heap.pb.gz" --fail-on-growth 1M >/dev/null
	local status=0
	"$MEMWATCH" diff "$T/heap-0001.pb.gz" "$T/heap.pb.gz" --fail-on-growth 421999 >/dev/null 2>"$T/err" || status=$?
	equal 3 "$status" "status"
	grep -q ': live bytes grew by 412 KiB: 1 B more than the 412 KiB allowed$' "$T/err"
	finish
}

@test "report --leaks: what leaks is first, what churns behind it, what grew once is not there" {
	local round
	workload leaks
	observe record -o "$T/heap.pb.gz" -p "$WORK" 0.3
	for round in 1 2 3 4; do
		work "^round $round\$"
		kill -USR1 "$WATCH"
		wait_for "file $round" test -s "$T/heap-000$round.pb.gz"
	done
	kill -INT "$WATCH"
	ended 0
	work
	finish
	"$MEMWATCH" report --leaks "$T"/heap-*.pb.gz --json >"$T/leaks"
	jq -e '.snapshots == 4 and .seconds > 0 and (.leaks | map(.stack[0].function) == ["leak", "churn"])' "$T/leaks"
	jq -e '.leaks[0] | .live_bytes == 200000 and .live_bytes_change == 150000
		and .live_count_change == 150 and .alloc_bytes_change == 150000 and .never_freed == 1 and .grew == 3
		and .growth_bytes_per_s > 0' "$T/leaks"
	jq -e '.leaks[1] | .live_bytes_change == 160000 and .grew == 2 and .alloc_bytes_change == 520000' "$T/leaks"
	"$MEMWATCH" report --leaks "$T"/heap-*.pb.gz --by line --top 1 | grep -qE \
		'^ 1  .*/s, \+146 KiB: 100% of 146 KiB never freed, grew 3 of 3 times, now 195 KiB in 200  leaks.c:'
	# Of one file: since the recording began.
	"$MEMWATCH" report --leaks "$T/heap-0001.pb.gz" --json |
		jq -e '.snapshots == 2 and (.leaks | map(.stack[0].function)[0:2] == ["cache", "leak"])'
	refused 1 "in the order of time" report --leaks "$T/heap-0002.pb.gz" "$T/heap-0001.pb.gz"
	refused 2 "one file too many" report "$T/heap-0002.pb.gz" "$T/heap-0001.pb.gz"
	refused 2 "--leaks" diff --leaks "$T/heap-0002.pb.gz" "$T/heap-0001.pb.gz"
	refused 2 "a file is wanted" report --leaks
}

@test "export: folded, csv and speedscope add up to the total" {
	recorded
	reported
	local total
	total=$(jq .totals.live_bytes "$SNAPSHOT")
	equal "$total" "$("$MEMWATCH" export "$T/heap.pb.gz" --format folded |
		awk '{ s += $NF } END { print s }')" folded
	equal "$total" "$("$MEMWATCH" export "$T/heap.pb.gz" --format speedscope |
		jq '.profiles[] | select(.name == "live bytes") | (.weights | add)')" speedscope
	equal "$total" "$("$MEMWATCH" export "$T/heap.pb.gz" --format csv |
		python3 -c 'import csv, sys; print(sum(int(r["live_bytes"]) for r in csv.DictReader(sys.stdin)))')" csv
	cmp "$SNAPSHOT" <("$MEMWATCH" export "$T/heap.pb.gz" --format json)
	finish
}

@test "files that are none: one line, status 1" {
	recorded
	finish
	head -c 300 "$T/heap.pb.gz" >"$T/short"
	refused 1 "is cut off" report "$T/short"
	printf 'hello' >"$T/text"
	refused 1 "is no pprof profile" report "$T/text"
	: >"$T/empty"
	refused 1 "is empty" export "$T/empty" --format csv
	refused 1 "Is a directory" diff "$T" "$T/heap.pb.gz"
	refused 1 "No such file" diff "$T/none" "$T/nothing"
	head -c 700M /dev/zero | gzip -1 >"$T/bomb"
	refused 1 "is too large" report "$T/bomb"
	refused 1 "is too large" report /dev/zero
}

@test "options of another verb are usage errors" {
	refused 2 "--for" report x --for 2s
	refused 2 "--older" report x --older 2s
	refused 2 "--fail-on-growth" report x --fail-on-growth 1K
	refused 2 "--output" -o x
	refused 2 "-o FILE" record
	refused 2 "OLD NEW" diff x
	refused 2 "--format" export x
	refused 2 "--base" export x --format csv --base y
	refused 2 "--base" report x --base y
	refused 2 "--sort" diff x y --sort growth
}

@test "what is no file is written to; a link is never replaced" {
	workload basic
	"$MEMWATCH" record -o "$T/heap.pb.gz" -p "$WORK" --for 0.2 2>/dev/null
	ln -s /proc/self/fd/1 "$T/stdout"
	ln -s nowhere/file "$T/dangling"
	mkfifo "$T/fifo"
	cat "$T/fifo" >"$T/by_fifo" &
	"$MEMWATCH" export "$T/heap.pb.gz" --format csv >"$T/csv"
	"$MEMWATCH" export "$T/heap.pb.gz" --format csv -o "$T/fifo"
	wait "$!"
	"$MEMWATCH" export "$T/heap.pb.gz" --format csv -o "$T/stdout" | cmp "$T/csv"
	"$MEMWATCH" export "$T/heap.pb.gz" --format csv -o - | cmp "$T/csv"
	echo first >"$T/file"
	"$MEMWATCH" export "$T/heap.pb.gz" --format csv -o "$T/stdout" >>"$T/file"
	cmp "$T/by_fifo" "$T/csv"
	(echo first && cat "$T/csv") | cmp "$T/file"
	"$MEMWATCH" record -o - -p "$WORK" --for 0.2 2>/dev/null | "$MEMWATCH" report /dev/stdin | grep -q basic
	[[ -L $T/stdout ]]
	refused 1 "No such file" export "$T/heap.pb.gz" --format csv -o "$T/dangling"
	[[ -L $T/dangling ]]
	refused 1 "directory" export "$T/heap.pb.gz" --format csv -o "$T"
	work
	finish
}
