# SPDX-License-Identifier: GPL-2.0-or-later
# Code that comes, goes, and is followed by other code at the same place: a stack names what ran there, or is marked
# as broken. Each function allocates in a size of its own. An object that is new is there when memwatch has looked;
# how long that takes nobody measures here: the program allocates until a stack is whole.
load helper

ONE=1000 TWO=3000 JIT=5000 HERE=7000 ELSEWHERE=9000

held() { # PROGRAM…: a reload, observed
	workload "$@"
	ANSWERS=0
	observe --json --top 0 --depth 0 "${WHOM[0]:--p}" "${WHOM[1]:-$WORK}" 0.2
}

ask() { # LINE
	echo "$*" >&"$LINE"
	ANSWERS=$((ANSWERS + 1))
	wait_for "an answer to $*" answered
}
answered() { has_line "$T/truth" '^\{' "$ANSWERS"; }
at() { grep '^{"at"' "$T/truth" | tail -n 1; }
offset() { nm "$W/lib$1.so" | awk -v name="in_$1" '$3 == name { print $1 }'; } # where it is in the file
same_place() { equal "$PLACE" "$(at)" "where the code is"; }

# (jq 1.6 with -e calls no input at all a success: hence -n and input.)
# Allocates until a stack of that size is whole and begins with these functions.
comes() { # call|here SIZE FUNCTION…
	wait_for "a whole stack of ${*:3}" whole "$@"
}
whole() {
	ask "$1" "$2"
	tail -n 1 "$T/out" | jq -n -e --argjson size "$2" '($ARGS.positional) as $names
		| input | any(.sites[]; (has("end") | not) and .live_bytes == .live_count * $size
			and [.stack[:($names | length)][].function] == $names)' \
		--args "${@:3}" >/dev/null 2>&1
}

# Every whole stack through one of these functions holds blocks of its size alone.
never_wrong() {
	kill -INT "$WATCH"
	ended 0
	last_snapshot
	jq -c --argjson sizes "{\"in_one\":$ONE,\"in_two\":$TWO,\"here\":$HERE,\"elsewhere\":$ELSEWHERE}" '
		.sites[] | select(has("end") | not)
		| ([.stack[].function | select(. and $sizes[.])] | first) as $function
		| select($function and .live_bytes != .live_count * $sizes[$function])' "$SNAPSHOT" >"$T/wrong"
	[[ ! -s $T/wrong ]] || { head -c 2000 "$T/wrong" >&2; return 1; }
	# and what was counted is what was asked for, in whole stacks or in broken ones
	local size
	for size in "$@"; do
		snapshot_says "[.sites[] | select(.live_bytes == .live_count * $size)] | length > 0"
	done
}

@test "dlopen, dlclose, another library at the same place" {
	local round
	held reload
	ask open "$W/libone.so" in_one
	PLACE=$(at)
	comes call "$ONE" inner in_one call
	for round in 1 2; do
		ask close
		ask open "$W/libtwo.so" in_two
		same_place
		comes call "$TWO" inner in_two call
		ask close
		ask open "$W/libone.so" in_one
		same_place
		ask call "$ONE"
	done
	never_wrong "$ONE" "$TWO"
	ask here 1
	exec {LINE}>&-
	dead 7
}

@test "libraries that are known change places while nobody reads the mappings" {
	local name before
	held reload
	ask open "$W/libone.so" in_one
	PLACE=$(at)
	comes call "$ONE" inner in_one call
	ask close
	ask open "$W/libtwo.so" in_two
	comes call "$TWO" inner in_two call
	SNAPSHOTS=$(grep -c . "$T/out")
	wait_for "a snapshot of all that" later
	before=$(tail -n 1 "$T/out" | whole_blocks)
	kill -STOP "$WATCH"
	ask close
	for name in one two; do
		ask open "$W/lib$name.so" "in_$name"
		same_place
		ask call "$([[ $name = one ]] && echo "$ONE" || echo "$TWO")"
		ask call "$([[ $name = one ]] && echo "$ONE" || echo "$TWO")"
		ask close
	done
	kill -CONT "$WATCH"
	never_wrong "$ONE" "$TWO"
	# not all: a stack is broken when the kernel is asked while somebody else holds the mappings
	jq -e --argjson before "$before" '.in_one > $before.in_one and .in_two > $before.in_two' \
		<<<"$(whole_blocks <"$SNAPSHOT")" || { echo "$before" >&2; return 1; }
	exec {LINE}>&-
	dead 7
}
later() { [[ $(grep -c . "$T/out") -ge $((SNAPSHOTS + 2)) ]]; }
whole_blocks() {
	jq -c 'def of($name):
			[.sites[] | select((has("end") | not) and .stack[1].function == $name).live_count] | add // 0;
		{in_one: of("in_one"), in_two: of("in_two")}'
}

@test "mapped by hand, unmapped, another file at the same place" {
	local round
	held reload
	ask map "$W/libone.so" "$(offset one)"
	PLACE=$(at)
	comes call "$ONE" inner in_one call
	for round in 1 2 3; do
		ask unmap
		ask map "$W/libtwo.so" "$(offset two)"
		same_place
		ask call "$TWO"
		ask call "$TWO"
		ask unmap
		ask map "$W/libone.so" "$(offset one)"
		same_place
		comes call "$ONE" inner in_one call
	done
	never_wrong "$ONE"
	exec {LINE}>&-
	dead 7
}

@test "code made at run time, and a file mapped where it was" {
	held reload
	ask jit
	PLACE=$(at)
	wait_for "a stack through the code" through_jit
	ask unmap
	ask map "$W/libtwo.so" "$(offset two)"
	comes call "$TWO" inner in_two call
	never_wrong "$TWO"
	snapshot_says "all(.sites[] | select(.stack[0].kind == \"jit\"); .live_bytes == .live_count * $JIT)"
	exec {LINE}>&-
	dead 7
}
through_jit() {
	ask call "$JIT"
	tail -n 1 "$T/out" | jq -n -e --argjson size "$JIT" 'input | any(.sites[]; .live_bytes == .live_count * $size
		and .stack[0].kind == "jit" and .stack[1].function == "call")' >/dev/null 2>&1
}

@test "code goes, and a thread holds the mappings: stacks that have nothing to do with it are whole" {
	held reload
	ask jit
	wait_for "a stack through the code" through_jit
	SNAPSHOTS=$(($(grep -c . "$T/out") + 4))
	wait_for "the mappings are read again" later
	kill -STOP "$WATCH"
	ask churn
	ask unmap
	ask often 30000 "$HERE"
	kill -CONT "$WATCH"
	snapshot
	snapshot_says "[.sites[] | select(.live_count > 0 and .live_bytes == .live_count * $HERE)]
		| map([.live_count, .end, .stack[0].function]) == [[30000, null, \"here\"]]"
	exec {LINE}>&-
	dead 7
}

@test "many stacks through code without a file: what a process maps is read once a snapshot" {
	local reads
	command -v strace >/dev/null || skip "no strace"
	printf '#!/bin/sh\nexec strace -qq -D -e trace=openat -o "%s" "%s" "$@"\n' "$T/trace" "$MEMWATCH" >"$T/traced"
	chmod +x "$T/traced"
	workload reload
	ANSWERS=0
	ask jit
	MEMWATCH=$T/traced observe --json --top 0 --depth 0 -p "$WORK" 600
	ask paths 10 "$JIT"
	snapshot
	snapshot_says "[.sites[] | select(.stack[0].kind == \"jit\") | .live_count] | length == 1024 and add == 1024"
	reads=$(grep -c "\"/proc/$WORK/maps\"" "$T/trace")
	((0 < reads && reads < 1024)) || { echo "$reads reads of the mappings" >&2; return 1; }
	exec {LINE}>&-
	dead 7
}

@test "exec: another program at the same addresses" {
	command -v setarch >/dev/null || skip "no setarch"
	held "$(command -v setarch)" -R "$W/reload"
	comes here "$HERE" here
	echo "exec $W/reload-other" >&"$LINE"
	wait_for "the other program" again
	comes here "$ELSEWHERE" elsewhere
	never_wrong "$ELSEWHERE"
	exec {LINE}>&-
	dead 7
}
again() { has_line "$T/truth" '^ready$' 2; }

@test "a child of fork loads a library" {
	WHOM=(-n reload)
	held reload
	comes here "$HERE" here
	ask fork
	ANSWERS=$((ANSWERS + 1))
	wait_for "the child" answered
	ask open "$W/libone.so" in_one
	PLACE=$(at)
	comes call "$ONE" inner in_one call
	ask close
	ask open "$W/libtwo.so" in_two
	same_place
	comes call "$TWO" inner in_two call
	never_wrong "$ONE" "$TWO" "$HERE"
	exec {LINE}>&-
	dead 7
}

# There the kernel calls a file otherwise than stat() does, and says how when it is asked about one.
@test "overlayfs: what the process had mapped before is known while the loader changes something" {
	unshare --mount true 2>/dev/null || skip "this root is no mount point"
	cat >"$T/inner" <<-END
		#!/bin/sh
		mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/root || exit 1
		mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root || exit 1
		exec chroot /mnt/root "$W/reload"
	END
	chmod +x "$T/inner"
	[[ $(unshare --mount "$T/inner" </dev/null 2>/dev/null) = ready ]] || skip "no overlayfs of this root"
	held "$(command -v unshare)" --mount "$T/inner"
	local round
	for round in {1..8}; do # one file is asked for at a time
		ask at-once "$W/libone.so" "$HERE"
		comes here "$HERE" here
		ask close
	done
	ask at-once "$W/libtwo.so" "$ELSEWHERE"
	kill -INT "$WATCH"
	ended 0
	last_snapshot
	snapshot_says "[.sites[] | select(.stack[0].function == \"here\")]
		| (map(select(.end)) | all(.live_bytes == .live_count * $HERE))
		and (map(.live_bytes - .live_count * $HERE) | add == 100 * ($ELSEWHERE - $HERE))"
	finish
}

# But for those that met a change of just that part of the tree of mappings.
@test "mappings that change while nobody gets their lock: stacks are whole nevertheless" {
	workload contended "$W/libone.so"
	observed --family heap
	same_sites known
	snapshot_says '.totals.alloc_count >= 1000 and .lost.broken_stacks * 100 < .totals.alloc_count'
	snapshot_says '[.sites[] | select(.stack[0].function == "apart").live_count] | add == 1000'
	finish
}
