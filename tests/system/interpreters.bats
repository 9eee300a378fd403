# SPDX-License-Identifier: GPL-2.0-or-later
# Several Python interpreters in one process: no stack that is whole shows a Python frame that was not on it, and
# the frames of those that say so run in all interpreters that were on the stack.
load helper

python() { # PROGRAM
	[[ -x $1 ]] || skip "$1 is not there"
	workload "$1" -S -E -B "$ROOT/tests/fixtures/interpreters.py"
	observe --json --top 0 --depth 0 --min-size 1M --family heap -p "$WORK" 0.5
	work '^done$'
	snapshot
	grep '^{"point"' "$T/truth" >"$T/points"
}

# What a site is of, its size tells; one whose mean is no point's would be of several. "?" is code that is gone.
PLACES='
	def places: .sites[] | select(.alloc_count > 0) | (.alloc_bytes / .alloc_count - 33) as $size
		| [$points[] | select(.size == $size)] as $candidates
		| {$size, "end": .end, count: .alloc_count, points: [$candidates[].point] | unique,
			chain: [.stack[] | select(.kind == "python") | .function // "?" | sub(".*<locals>\\."; "")],
			allowed: [$candidates[].chain] | unique};
'
in_points() { jq -c --slurpfile points "$T/points" "$PLACES$1" "$SNAPSHOT" >"$T/bad"; }

nothing_bad() { # WHAT
	[[ -s $T/bad ]] || return 0
	echo "$1:" >&2
	cat "$T/bad" >&2
	return 1
}

never_wrong() {
	in_points 'def same($a): length == ($a | length)
			and ([., $a] | transpose | all(.[0] == .[1] or .[0] == "?"));
		places | select(.end == null)
		| select(.chain as $chain | all(.allowed[]; . as $a | $chain | same($a) | not))'
	nothing_bad "whole stacks that were never there"
	equal "$(jq -s 'map(.count) | add' "$T/points")" "$(jq '[.sites[].alloc_count] | add' "$SNAPSHOT")" "blocks"
}

# Of those points all blocks were seen, each with its whole stack.
right() { # REGULAR-EXPRESSION
	in_points "[places | select(.end == null)] as \$places | \$points | map(select(.point | test(\"^($1)\$\")))
		| group_by(.point)[] | .[0].size as \$size | {point: .[0].point, count: (map(.count) | add),
			seen: ([\$places[] | select(.size == \$size).count] | add // 0)}
		| select(.seen != .count)"
	nothing_bad "stacks that are not whole"
}

# To 3.9 nothing of a thread state tells where it runs: what lies in, or below, another interpreter is broken.
ALONE='main|unlocked_main|generator|key|in_thread|before|after|thread_main.|sub_thread|meanwhile|between.|last'

all_cases() { # PROGRAM POINTS
	python "$1"
	never_wrong
	right "$2"
	finish
}

@test "Debian's python3.11" { all_cases /usr/bin/python3.11 '.*'; }
@test "CPython 3.8" { all_cases ~/.pyenv/versions/3.8.18/bin/python3.8 "$ALONE"; }
@test "CPython 3.9" { all_cases ~/.pyenv/versions/3.9.18/bin/python3.9 "$ALONE"; }
@test "CPython 3.10" { all_cases ~/.pyenv/versions/3.10.13/bin/python3.10 '.*'; }
@test "CPython 3.11" { all_cases ~/.pyenv/versions/3.11.7/bin/python3.11 '.*'; }
@test "CPython 3.12" { all_cases ~/.pyenv/versions/3.12.1/bin/python3.12 '.*'; }
@test "CPython 3.13" { all_cases ~/.pyenv/versions/3.13.0/bin/python3.13 '.*'; }
