# SPDX-License-Identifier: GPL-2.0-or-later
# memwatch's stacks against the program's own, frame by frame: {module, file offset} of each return address.
load helper

# Prints what differs. $1 = whole: to the thread's first frame; own: as far as the program's own frames go.
differences() { # whole|own
	jq -c -n --slurpfile truth <(grep '"case"' "$T/truth") --slurpfile seen "$SNAPSHOT" --arg how "$1" '
		def cut: if $how == "own"
			then .[:([.[] | startswith("libc.so.6+")] | index(true)) // length] else . end;
		def frames: [.[] | select(.inlined != true) | "\(.module // "?")+\(.offset // "?")"];
		([$seen[0].sites[] | select(.family == "heap" and .live_count == 1)
			| {key: "\(.live_bytes)", value: .stack}]
			| from_entries) as $sites
		| $truth[] | {case, size, own: (.frames | cut), got: ($sites["\(.size)"] // [] | frames)}
		| if $how == "own" then .got = .got[:(.own | length)] else . end
		| select(.own != .got)'
}

truly() { # whole|own PROGRAM [ARGUMENT…]
	local how=$1 wrong
	shift
	workload "$@"
	observe --json --top 0 --depth 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	wrong=$(differences "$how")
	[[ -z $wrong ]] || { echo "$* differs:" >&2; echo "$wrong" >&2; return 1; }
	equal 0 "$(jq '.lost.broken_stacks' "$SNAPSHOT")" "broken stacks"
	finish
}

@test "own frames with frame pointers, gcc -O0" { truly own stacks-gcc-O0-fp; }
@test "own frames with frame pointers, gcc -O2" { truly own stacks-gcc-O2-fp; }

@test "gcc -O0" { truly whole stacks-gcc-O0; }
@test "gcc -O1" { truly whole stacks-gcc-O1; }
@test "gcc -O2" { truly whole stacks-gcc-O2; }
@test "gcc -O3" { truly whole stacks-gcc-O3; }
@test "gcc with frame pointers -O0" { truly whole stacks-gcc-O0-fp; }
@test "gcc with frame pointers -O3" { truly whole stacks-gcc-O3-fp; }
@test "clang -O0" { truly whole stacks-clang-O0; }
@test "clang -O1" { truly whole stacks-clang-O1; }
@test "clang -O2" { truly whole stacks-clang-O2; }
@test "clang -O3" { truly whole stacks-clang-O3; }
@test "static" { truly whole stacks-static-O2; }
@test "not position independent" { truly whole stacks-nopie-O2; }
@test "C++, gcc -O0" { truly whole stacks_cxx-gcc-O0; }
@test "C++, gcc -O2" { truly whole stacks_cxx-gcc-O2; }
@test "C++, gcc -O3" { truly whole stacks_cxx-gcc-O3; }
@test "C++, clang -O0" { truly whole stacks_cxx-clang-O0; }
@test "C++, clang -O3" { truly whole stacks_cxx-clang-O3; }
@test "a function without tables among others" { truly whole between; }
@test "a function without tables among others, stripped" { truly whole between-stripped; }
@test "a stack of 100 frames is whole" { truly whole deep 94; }

# The program's stack under a limit: so many frames, the nearest ones, whatever stands above them.
limited() { # LIMIT KEPT END [OPTION…]: of the stack of `deep 300`
	local site
	workload deep 300
	observe --json --top 0 --depth 0 -p "$WORK" "${@:4}" 0.3
	work '"end"'
	snapshot
	site='.sites[] | select(.live_bytes == 70001 and .live_count == 1)'
	equal "$2 $3" "$(jq -r "$site | \"\(.stack | length) \(.end // \"whole\")\"" "$SNAPSHOT")" "frames"
	equal "$(grep '"case"' "$T/truth" | jq -c --argjson n "$2" '.frames[:$n]')" \
		"$(jq -c "$site"' | .stack | map("\(.module)+\(.offset)")' "$SNAPSHOT")" "the nearest frames"
	# the unwinder of the program has blocks of its own, from before or not so deep
	snapshot_says '.lost.truncated_stacks == ([.sites[] | select(.end == "truncated")
		| .alloc_count] | add // 0)'
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "a stack too deep is marked and counted, and right as far as it goes" { limited 127 127 truncated; }
@test "--max-depth 1" { limited 1 1 truncated --max-depth 1; }
@test "--max-depth 20" { limited 20 20 truncated --max-depth 20; }
@test "--max-depth 304: all but the last frame" { limited 304 304 truncated --max-depth 304; }
@test "--max-depth 305: just the whole" { limited 305 305 whole --max-depth 305; }
@test "--max-depth 512: more than there are" { limited 512 305 whole --max-depth 512; }

# Each stack has its own blocks, by its nearest frames as far as the limit goes.
told_apart() { # LIMIT PROGRAM ARGUMENT…
	workload "${@:2}"
	observe --json --top 0 --depth 0 --max-depth "$1" -p "$WORK" 0.3
	work '"end"'
	snapshot
	diff <(grep '"size"' "$T/truth" | jq -c -n --argjson limit "$1" '
			[inputs | .frames |= .[:$limit]] | group_by(.frames)[]
			| {frames: .[0].frames, count: (map(.count) | add), bytes: (map(.size * .count) | add)}') \
		<(jq -c --argjson limit "$1" '
			[.sites[] | select(.stack[0].function == "bottom")
				| {frames: [.stack[] | select(.module == "uppers" and .inlined != true)
						.function | select(. != "_start")],
					count: .live_count, bytes: .live_bytes}]
			| group_by(.frames)[] | select(length == 1)[0]' "$SNAPSHOT") >"$T/diff" ||
		{ head -c 2000 "$T/diff" >&2; return 1; }
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "the same place on the stack, the same caller: any other frame makes another stack" {
	told_apart 127 uppers 40 16
}
@test "the same, over more stack than a memo compares at once" { told_apart 127 uppers 60 600; }
@test "the same, deeper than a memo can hold" { told_apart 512 uppers 300 16; }
@test "stacks that are the same up to --max-depth are one" { told_apart 10 uppers 40 16; }

@test "stacks that take turns are walked once: a memo each, though one caller and one place have them all" {
	workload sites 16 200
	observe -v --json --top 0 -p "$WORK" 0.3
	work
	snapshot
	snapshot_says '[.sites[] | select(.live_count == 200)] | length == 16'
	grep -q ' stacks were walked' "$T/err"
	(($(sed -n 's/.* \([0-9]*\) stacks were walked.*/\1/p' "$T/err") < 200))
	finish
}

@test "the same stack in two processes, at two load addresses, has the same frames" {
	local first
	workload deep 20
	observe --json --top 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	first=$(jq -c '[.sites[] | select(.live_bytes == 70001)][0].stack' "$SNAPSHOT")
	finish
	rm "$T/line"
	workload deep 20
	observe --json --top 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	equal "$first" "$(jq -c '[.sites[] | select(.live_bytes == 70001)][0].stack' "$SNAPSHOT")" "the stack"
	finish
}

@test "names: function, file and line of each frame of the program" {
	workload deep 3
	observe --json --top 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	equal '["down","down","down","down","main"]' \
		"$(jq -c '[.sites[] | select(.live_bytes == 70001)][0].stack[:5]
			| map(.function)' "$SNAPSHOT")" "functions"
	snapshot_says '[.sites[] | select(.live_bytes == 70001)][0].stack[:5]
		| all((.file | endswith("deep.c")) and .line > 0 and .kind == "native")'
	finish
}
