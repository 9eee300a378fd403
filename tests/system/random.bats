# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that nobody wrote, by seed: every allocation's stack is what the compiler's unwinder found in the program
# itself, frame by frame, and none is taken for another's. RANDOM_SEEDS="from to" tries others, with every compiler.
load helper

# {frames, count, bytes} of each of the program's stacks.
true_stacks() {
	grep '"case"' "$T/truth" | jq -c -n '[inputs] | group_by(.frames)[]
		| {frames: .[0].frames, count: length, bytes: (map(.size) | add)}' | sort
}
seen_stacks() {
	jq -c '[.sites[] | select(.family == "heap" and .live_count and .live_bytes / .live_count > 70000)
			| {frames: [.stack[] | select(.inlined != true) | "\(.module // "?")+\(.offset // "?")"],
				count: .live_count, bytes: .live_bytes}]
		| group_by(.frames)[] | select(length == 1)[0]' "$SNAPSHOT" | sort
}

random_program() { # SEED COMPILER OPTION…
	command -v "$2" >/dev/null || skip "$2 is not installed"
	echo "random_program $1, ${*:2}"
	"$ROOT/tests/workloads/random_program" "$1" >"$T/random.c"
	"$2" -std=gnu11 -D_GNU_SOURCE -g -w -I "$ROOT/tests/workloads" "${@:3}" -o "$T/random" "$T/random.c" -lpthread
	rm -f "$T/line"
	workload "$T/random"
	observe --json --top 0 --depth 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	[[ $(true_stacks | wc -l) -ge 10 ]]
	diff <(true_stacks) <(seen_stacks) >"$T/diff" || { head -c 3000 "$T/diff" >&2; return 1; }
	snapshot_says '.lost.broken_stacks == 0'
	finish
}

@test "gcc -O0" { random_program 1 gcc -O0; }
@test "gcc -O1, frame pointers" { random_program 2 gcc -O1 -fno-omit-frame-pointer; }
@test "gcc -O2" { random_program 3 gcc -O2 -fomit-frame-pointer; }
@test "gcc -O3, static" { random_program 4 gcc -O3 -fomit-frame-pointer -static; }
@test "clang -O0" { random_program 5 clang -O0; }
@test "clang -O2" { random_program 6 clang -O2 -fomit-frame-pointer; }
@test "clang -O3, frame pointers" { random_program 7 clang -O3 -fno-omit-frame-pointer; }

@test "as many as are wanted" {
	[[ -n $RANDOM_SEEDS ]] || skip 'RANDOM_SEEDS="from to" is not set'
	local seed compilers=(gcc clang) pointers=(-fomit-frame-pointer -fno-omit-frame-pointer)
	for ((seed = ${RANDOM_SEEDS% *}; seed <= ${RANDOM_SEEDS#* }; seed++)); do
		random_program "$seed" "${compilers[seed % 2]}" -O"$((seed / 2 % 4))" "${pointers[seed / 8 % 2]}"
	done
}
