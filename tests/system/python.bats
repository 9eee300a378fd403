# SPDX-License-Identifier: GPL-2.0-or-later
# Names of Python code that is gone before anybody can look, with other code at its address thereafter.
load helper

# The blocks that the program tells of: `n` as there, or -100: a Holder's.
PLACES='def places: .sites[] | select(.alloc_count > 0) | ((.alloc_bytes / .alloc_count - 70001) / 100) as $n
	| select($n == ($n | floor) and ($n >= 0 or $n == -100))
	| [.stack[] | select(.kind == "python")] as $python
	| {$n, count: .alloc_count, "end": .end, chain: [$python[] | .function // "?" | sub(".*\\."; "")],
		place: ($python[0] | "\(.file // "?"):\(.line)")};'

names() { # PROGRAM [yes: while memwatch does not run] [OPTION of it…]
	[[ -x $1 ]] || skip "$1 is not there"
	workload "$1" "${@:3}" -S -E -B "$ROOT/tests/fixtures/passing.py"
	observe --json --top 0 -p "$WORK" --depth 0 --family heap 0.3
	[[ -z ${2:-} ]] || kill -STOP "$WATCH"
	work
	[[ -z ${2:-} ]] || kill -CONT "$WATCH"
	snapshot
	[[ $(grep '^{' "$T/truth" | jq '.again | min') -gt 0 ]] # code came to an address that other code had had
	jq -c "$PLACES"'places | select(.n >= 0)' "$SNAPSHOT" >"$T/places"
	equal 300 "$(jq -s 'map(.count) | add' "$T/places")" "blocks"
	equal '' "$(jq -c '(if .n < 200 then "package" else "é名" end) as $folder
		| select(.place != "/\(.n)/\($folder)/__init__.py:1" or .n >= 200 and .chain[0] != "名")' "$T/places")" \
		"code with another's name, or none"
	snapshot_says "$PLACES"'[places | select(.n < 0)] | (map(.count) | add) == 100
		and all(.[]; .end == null and .chain == ["__init__", "holders", "<module>"])'
	MAP=/tmp/perf-$WORK.map
	finish
}

@test "Debian's python3.11" { names /usr/bin/python3.11; }
@test "Debian's python3.11, and memwatch gets no processor" { names /usr/bin/python3.11 yes; }
@test "CPython 3.8" { names ~/.pyenv/versions/3.8.18/bin/python3.8; }
@test "CPython 3.9" { names ~/.pyenv/versions/3.9.18/bin/python3.9; }
@test "CPython 3.10" { names ~/.pyenv/versions/3.10.13/bin/python3.10; }
@test "CPython 3.11" { names ~/.pyenv/versions/3.11.7/bin/python3.11; }
@test "CPython 3.12" { names ~/.pyenv/versions/3.12.1/bin/python3.12; }
@test "CPython 3.13" { names ~/.pyenv/versions/3.13.0/bin/python3.13; }

trampolines() { # PROGRAM: code without a file between its frames, which has no frame pointers
	names "$1" '' -X perf
	snapshot_says 'any(.sites[].stack[]; .kind == "jit" and (.function // "" | startswith("py::holders:")))'
	rm "$MAP"
}

@test "CPython 3.12 -X perf" { trampolines ~/.pyenv/versions/3.12.1/bin/python3.12; }
@test "CPython 3.13 -X perf" { trampolines ~/.pyenv/versions/3.13.0/bin/python3.13; }

deep() { # FRAMES that are there, END, [OPTION…]
	[[ -x /usr/bin/python3.11 ]] || skip "/usr/bin/python3.11 is not there"
	workload /usr/bin/python3.11 -S -E -c 'import sys
def down(n): return down(n - 1) if n else bytearray(70000)
print("ready", flush=True); sys.stdin.readline()
kept = down(99)
print("{}", flush=True); sys.stdin.readline()
sys.exit(7)'
	observed --depth 0 "${@:3}"
	snapshot_says '[.sites[] | select(.live_bytes == 70001)
		| [([.stack[] | select(.function == "down")] | length), .end]] == [['"$1, $2"']]'
	finish
}

@test "a hundred Python frames fit into 127 frames" { deep 100 null; }
@test "a Python frame is one frame of --max-depth" { deep 10 '"truncated"' --max-depth 15; }

@test "eighty Python frames are known again, and told from those of another line far above" {
	[[ -x /usr/bin/python3.11 ]] || skip "/usr/bin/python3.11 is not there"
	workload /usr/bin/python3.11 -S -E -c 'import sys
def down(n): return down(n - 1) if n else bytearray(70000)
def one(): down(79)
def two():
    down(79)
    down(79)
print("ready", flush=True); sys.stdin.readline()
for i in range(500): one(); two()
print("{}", flush=True); sys.stdin.readline()
sys.exit(7)'
	observed -v --depth 0
	snapshot_says '[.sites[] | select(.alloc_bytes == 500 * 70001) | select(.end == null)
		| [.stack[] | select(.kind == "python" and .function != "down") | "\(.function):\(.line)"][0]]
		| sort == ["one:3", "two:5", "two:6"]'
	(($(sed -n 's/.* \([0-9]*\) stacks were walked.*/\1/p' "$T/err") < 300))
	finish
}
