# SPDX-License-Identifier: GPL-2.0-or-later
# Stacks through code that has no unwinding tables: its instructions are followed.
load helper

# What differs from the truth. Every site of a case's functions has these, then the return addresses that the program
# noted, and nothing is missing above.
wrong_chains() {
	jq -c -n --slurpfile truth <(grep '"case"' "$T/truth") --slurpfile seen "$SNAPSHOT" '
		def place: "\(.module // "?")+\(.offset // "?")";
		[$seen[0].sites[] | select(.family == "heap")
			| {ended: .end, stack: [.stack[] | select(.inlined != true)]}] as $sites
		| $truth | group_by(.ours)[] | .[0].case as $case | (.[0].ours | split(",")) as $ours
		| ([.[].returns] | unique) as $returns
		| [$sites[] | select(any(.stack[]; .function == $ours[0]))]
		| if . == [] then {case: $case, missing: true} else .[] end
		| (.stack // [] | map(.function) | index($ours[-1])) as $at
		| select(.missing or .ended or $at == null
			or [.stack[:$at + 1][].function | select(IN($ours[]))] != $ours
			or ($returns != [[]]
				and ([.stack[$at + 1], .stack[$at + 3:$at + 6][] | place] | IN($returns[]) | not)))
		| {case: $case, ended, want: [$ours, $returns], stack: [.stack[]? | "\(.function) \(place)"]}'
}

followed() { # PROGRAM
	local wrong
	workload "$1"
	observe --json --top 0 --depth 0 -p "$WORK" 0.3
	work '"end"'
	snapshot
	wrong=$(wrong_chains)
	[[ -z $wrong ]] || { echo "$1 differs:" >&2; echo "$wrong" >&2; return 1; }
	equal 0 "$(jq '.lost.broken_stacks' "$SNAPSHOT")" "broken stacks"
	nothing_lost
	finish
}

@test "musl" { followed chains-musl; }
@test "static musl" { followed chains-musl-static; }
@test "glibc has tables: the truth is the same" { followed chains; }
@test "a program without tables" { followed chains-bare; }
@test "a program without tables, with frame pointers" { followed chains-bare-fp; }
@test "a program without tables on musl" { followed chains-musl-bare; }
