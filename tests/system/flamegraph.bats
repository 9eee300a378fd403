# SPDX-License-Identifier: GPL-2.0-or-later
# The flame graph, opened from file:// in a real Chromium and compared with the same file's JSON.
load helper

recorded() { # NAME: a file of the workload, which then ends
	observe record -o "$T/$1.pb.gz" -p "$WORK" 0.3
	work
	kill -INT "$WATCH"
	ended 0
	"$MEMWATCH" export "$T/$1.pb.gz" --format json >"$T/$1.json"
	finish
	rm -f "$T/line"
}

with_page() {
	[[ -s $O/web/page.html ]] || skip "this build has no flame graph: tools/install-deps check, and make"
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || skip "no chromium"
}

browse() { # SCENARIO PAGE JSON…
	PYTHONDONTWRITEBYTECODE=1 HOME=$T python3 "$BATS_TEST_DIRNAME/flamegraph_page.py" "$@" 3>&-
}

@test "figures, a click, a search, other metrics: as the file's JSON has them" {
	with_page
	workload shapes
	recorded heap
	"$MEMWATCH" export "$T/heap.pb.gz" --format flamegraph -o "$T/heap.html"
	equal 600 "$(stat -c %a "$T/heap.html")" "mode"
	cmp "$T/heap.html" <("$MEMWATCH" export "$T/heap.pb.gz" --format flamegraph)
	browse figures "$T/heap.html" "$T/heap.json"
}

@test "two files: what grew is red and has a plus, what shrank is blue and has a minus" {
	with_page
	workload basic
	recorded old
	workload shapes
	recorded new
	"$MEMWATCH" export "$T/new.pb.gz" --base "$T/old.pb.gz" --format flamegraph -o "$T/change.html"
	browse change "$T/change.html" "$T/new.json" "$T/old.json"
}

@test "hostile names are shown, and do nothing" {
	with_page
	local program="$T/<b>"$'\u202e'"<script>alert(2)<" # and its first 15 bytes are the comm
	cp "$W/shapes" "$program"
	workload "$program"
	local name='<script>alert(1)<'$'\u202e'
	recorded "$name"
	"$MEMWATCH" export "$T/$name.pb.gz" --format flamegraph -o "$T/$name.html"
	browse hostile "$T/$name.html" "$T/$name.json"
}

@test "without what it is made of, one line says so" {
	[[ ! -s $O/web/page.html ]] || skip "this build has a flame graph"
	local status=0
	workload shapes
	recorded heap
	"$MEMWATCH" export "$T/heap.pb.gz" --format flamegraph >"$T/out" 2>"$T/err" || status=$?
	equal 1 "$status" status
	[[ ! -s $T/out ]]
	one_line_of_complaint
	grep -q npm "$T/err"
}
