# SPDX-License-Identifier: GPL-2.0-or-later
# What the options do to a snapshot that is known.
load helper

shaped() { # OPTION…: a snapshot of shapes
	workload shapes
	observe --json -p "$WORK" "$@" 0.3
	work
	snapshot
}

functions() { jq -c '[.sites[] | .stack[0].function]' "$SNAPSHOT"; }

sorted() { # KEY EXPECTED
	shaped --top 0 --sort "$1"
	equal "$2" "$(functions | jq -c ".[:$(jq length <<<"$2")]")" "functions by $1"
	finish
}

@test "--sort live" { sorted live '["large","small","mixed"]'; }
@test "--sort count" { sorted count '["small","mixed","large"]'; }
@test "--sort alloc" { sorted alloc '["churn","spike","large","small","mixed"]'; }
@test "--sort allocs" { sorted allocs '["churn","small","mixed","large","spike"]'; }
@test "--sort peak" { sorted peak '["spike","large","small","mixed","churn"]'; }

@test "--sort growth: what grows comes first" {
	shaped --top 0 --sort growth
	snapshot_says '.sites | length == 5'
	finish
}

@test "--top cuts the sites, not the totals" {
	shaped --top 2
	equal '["large","small"]' "$(functions)" "functions"
	same_totals
	finish
}

@test "what is shown has its names, however many have as much" {
	workload sites 64 1 4096
	observed --top 3
	equal '[[4096,128,"bottom"],[4096,128,"bottom"],[4096,128,"bottom"]]' \
		"$(jq -c '[.sites[] | [.live_bytes, .live_count, .stack[0].function]]' "$SNAPSHOT")" "the first three"
	equal '_start' "$(jq -r '.sites[].stack[-1].function' "$SNAPSHOT" | sort -u)" "where their stacks begin"
	finish
}

@test "--by function" {
	shaped --by function --top 0
	snapshot_says '.sites | map({(.stack[0].function): .live_bytes}) | add
		| .large == 400000 and .small == 16000 and .mixed == 6000'
	snapshot_says 'all(.sites[]; (.stack | length == 1)
		and (.stack[0] | has("line") or has("offset") | not) and .merged == 1)'
	finish
}

@test "--by line: a site is charged to its line" {
	local line
	line=$(grep -n 'malloc(200000)' "$ROOT/tests/workloads/shapes.c" | cut -d: -f1)
	shaped --by line --top 1
	snapshot_says ".sites[0] | .live_bytes == 400000 and .stack[0].line == $line
		and (.stack[0].file | endswith(\"shapes.c\"))"
	finish
}

@test "--by file, --by module and --by process each add up to the total" {
	local key
	workload shapes
	observe --json -p "$WORK" 60
	work
	snapshot
	finish
	for key in file module process; do
		rm -f "$T/line"
		shaped --by $key --top 0
		snapshot_says '.sites | length == 1'
		snapshot_says '.sites[0] | .live_bytes == 422000 and .live_count == 1017 and .merged == 5'
		case $key in
		file) snapshot_says '.sites[0].stack[0].file | endswith("shapes.c")' ;;
		module) snapshot_says '.sites[0].stack[0].module == "shapes"' ;;
		esac
		finish
	done
}

@test "--cumulative charges every frame of a stack, each once" {
	shaped --by function --cumulative --top 0
	snapshot_says '.sites | map({(.stack[0].function // "?"): .live_bytes}) | add
		| .main == 422000 and .many == 22000 and .few == 400000 and .large == 400000 and .small == 16000'
	finish
}

@test "--cumulative charges a recursive function once" {
	workload sites 16 1
	observe --json --top 0 --by function --cumulative -p "$WORK" 0.3
	work
	snapshot
	snapshot_says '.sites | map({(.stack[0].function // "?"): .live_bytes}) | add | .turn == 512 and .main == 512'
	finish
}

@test "--include and --exclude, by function, file and module of any frame" {
	shaped --top 0 --include few
	equal '["large"]' "$(functions)" "functions under few"
	finish
	rm "$T/line"
	shaped --top 0 --exclude many --exclude passing
	equal '["large"]' "$(functions)" "functions not under many or passing"
	finish
	rm "$T/line"
	shaped --top 0 --include '*shapes.c' --exclude 's*l*'
	equal 0 "$(functions | jq '[.[] | select(. == "small")] | length')" "sites of small"
	same_totals
	finish
	rm "$T/line"
	shaped --top 0 --include nothing-like-it
	equal '[]' "$(functions)" "functions"
	finish
}

@test "--min-size and --max-size look at blocks, not at sites" {
	shaped --top 0 --min-size 500
	snapshot_says '[.sites[] | select(.stack[0].function == "mixed")][0] | .live_bytes == 5000 and .live_count == 5'
	snapshot_says 'all(.sites[]; .stack[0].function != "small")'
	finish
	rm "$T/line"
	shaped --top 0 --max-size 500
	snapshot_says '[.sites[] | select(.stack[0].function == "mixed")][0]
		| .live_bytes == 1000 and .live_count == 10'
	snapshot_says 'all(.sites[]; .stack[0].function != "large")'
	finish
	rm "$T/line"
	shaped --top 0 -z 1K -Z 1M
	snapshot_says '[.sites[] | select(.live_bytes > 0) | .stack[0].function] == ["large"]'
	finish
}

@test "--older: nothing is an hour old, everything is a millisecond old in the end" {
	shaped --top 0 --older 1h
	snapshot_says '([.sites[].live_bytes] | add // 0) == 0'
	finish
	rm "$T/line"
	workload shapes
	observe --json --top 0 --older 1ms -p "$WORK" 0.2
	work
	wait_for "all of it to be old" seen '[.sites[].live_bytes] | add == 422000'
	snapshot
	finish
}

@test "--depth limits what is shown, not what is told apart" {
	workload sites 64 1
	observe --json --top 0 --depth 2 -p "$WORK" 0.3
	work
	snapshot
	snapshot_says '(.sites | length == 64) and all(.sites[]; .stack | length == 2)'
	finish
}

@test "--family" {
	workload maps whole
	observe --json --top 0 --family heap -p "$WORK" 0.3
	work
	snapshot
	snapshot_says 'all(.sites[]; .family == "heap")'
	finish
	rm "$T/line"
	shaped --top 0 --family mmap
	snapshot_says '.sites == []'
	finish
}

@test "INTERVAL and COUNT: so many snapshots, then status 0, the target goes on" {
	workload shapes
	start_memwatch --json -p "$WORK" 0.1 3
	ended 0
	equal 3 "$(wc -l <"$T/out")" "snapshots"
	jq -e -s 'map(.elapsed_s) | . == sort and .[0] > 0' "$T/out" >/dev/null
	untouched
	work
	finish
}

@test "two processes" {
	workload shapes
	another basic
	observe --json --top 0 -p "$WORK,$OTHER" 0.3
	work
	echo >&"$OTHER_LINE"
	wait_for "the other's truth" has_line "$T/other" '^\{'
	snapshot
	same_process "$(grep '^{' "$T/truth")"
	same_sites
	same_process "$(grep '^{' "$T/other")"
	same_sites leaf "$(grep '^{' "$T/other")"
	finish
}

@test "the JSON has the contract's fields" {
	shaped --top 0
	snapshot_says '.version == 1 and .mode == "exact"
		and (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z$"))'
	snapshot_says '.lost | has("blocks") and has("sites") and has("stacks")
		and has("inflight") and has("truncated_stacks") and has("broken_stacks")'
	snapshot_says '.processes == [.processes[0]] and (.processes[0] | .comm == "shapes" and .exited == false)'
	snapshot_says 'all(.sites[].stack[]; .kind == "native" and (.offset | type == "number")
		and all(.[]; . != "" and . != null))'
	finish
}

@test "text: the ranked sites with their functions, files and modules" {
	workload shapes
	observe --plain -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 0
	grep -Eq "^[0-9:]{8}  shapes\[$WORK\]  live 412 KiB in 1017 blocks" "$T/out"
	grep -Eq '^ 1  391 KiB  in 2 blocks, average 195 KiB' "$T/out"
	grep -Eq '^ +large +shapes\.c:[0-9]+ +shapes$' "$T/out"
	finish
}

@test "a comm with control characters reaches no terminal as such" {
	cp "$W/shapes" "$T/"$'e\e[31mvil'
	workload "$T/"$'e\e[31mvil'
	observe --plain -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 0
	equal 0 "$(grep -c $'\e' "$T/out")" "raw lines"
	finish
}

@test "a comm of C1 and bidi characters and invalid bytes reaches no terminal as such" {
	local name=$'c1\xc2\x9b31m\xe2\x80\xaex\xff'
	cp "$W/shapes" "$T/$name"
	workload "$T/$name"
	observe --plain -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 0
	"$MEMWATCH" doctor -p "$WORK" >"$T/doctor" 2>&1 3>&- {LINE}>&-
	grep -qF "observing c1\\u{9b}31m\\u{202e}x\\xff[$WORK]" "$T/err"
	grep -qF "target       c1\\u{9b}31m\\u{202e}x\\xff[$WORK]" "$T/doctor"
	equal 0 "$(cat "$T/out" "$T/err" "$T/doctor" | LC_ALL=C grep -cP '[\x80-\xff\e]')" "raw lines"
	finish
}

@test "--help and --version go to standard output, with status 0" {
	"$MEMWATCH" --help >"$T/out" 2>"$T/err"
	grep -q -- '--min-size' "$T/out"
	[[ ! -s $T/err ]]
	"$MEMWATCH" --version >"$T/out" 2>"$T/err"
	grep -Eq '^memwatch [0-9]' "$T/out"
	[[ ! -s $T/err ]]
}

@test "-q says nothing, -v says where the probes went" {
	workload shapes
	"$MEMWATCH" -q --json -p "$WORK" 0.1 1 >"$T/out" 2>"$T/err" 3>&- {LINE}>&-
	[[ ! -s $T/err ]]
	"$MEMWATCH" -v --json -p "$WORK" 0.1 1 >"$T/out" 2>"$T/err" 3>&- {LINE}>&-
	grep -q 'malloc' "$T/err"
	untouched
	work
	finish
}

@test "doctor names the allocators of a target and the instruction of each entry" {
	workload shapes
	"$MEMWATCH" doctor -p "$WORK" >"$T/out" 2>"$T/err" 3>&- {LINE}>&-
	grep -q 'libc.so.6' "$T/out"
	grep -Eq 'free.*(je|push)' "$T/out"
	untouched
	work
	finish
}
