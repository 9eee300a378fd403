# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that we did not write, without frame pointers: every stack that gdb finds in a job is one that memwatch
# found when the same process did the same job before, frame by frame.
load helper

# For a line N of its input each of them does its job and says "done N".
held() { # PROGRAM ARGUMENT…
	command -v "$1" >/dev/null || skip "$1 is not installed"
	command -v gdb >/dev/null || skip "gdb is not installed"
	mkfifo "$T/line"
	env PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 PYTHONHASHSEED=0 "$@" \
		<"$T/line" >"$T/truth" 2>"$T/workload.err" 3>&- &
	WORK=$!
	exec {LINE}>&-
	exec {LINE}>"$T/line"
}

job() { # N: does it, and waits for its end
	input "$1" >&"$LINE"
	wait_for "job $1" workload_says "done $1"
	has_line "$T/truth" "done $1"
}
input() { echo "$1"; }

with_gdb() { # N
	STACKS=$T/gdb env -u DEBUGINFOD_URLS gdb -nx -batch -p "$WORK" -x "$BATS_TEST_DIRNAME/gdb_stacks.py" \
		>"$T/gdb.err" 2>&1 3>&- {LINE}>&- &
	local gdb=$!
	wait_for "gdb" [ -e "$T/gdb.ready" ]
	job "$1"
	kill -INT "$WORK"
	wait_for "gdb ends" gone "$gdb"
	# The kernel emulates the instruction below a breakpoint of gdb's where a probe of anybody's on the same
	# file is left, and says nothing: another memwatch's, or one that the kernel itself has lost track of.
	! grep -qx 'malloc 0' "$T/gdb.hits" || skip "the kernel has a probe on malloc: gdb does not get there"
	sort -u "$T/gdb" >"$T/theirs"
}

observed_stacks() {
	jq -r 'def place: "\(.module // "?")+\(.offset // "?")";
		.sites[] | [.stack[] | select(.kind != "python" and .inlined != true) | place]
		| join(" ")' "$SNAPSHOT" | sort -u
}

same_as_gdb() { # LEAST: different stacks that gdb should see
	local missing
	job 1 # what is done only once
	job 2
	observe --json --top 0 --depth 0 -p "$WORK" 0.5
	job 3
	job 4 # some memory is only taken every few times
	job 5
	snapshot
	snapshot_says 'all(.sites[]; has("end") | not)'
	observed_stacks >"$T/ours"
	wait_for "the text is clean" text_clean "$WORK" # of the kernel's breakpoints, where gdb's will be
	with_gdb 6
	missing=$(comm -23 "$T/theirs" "$T/ours")
	[[ -z $missing ]] || { printf 'gdb alone saw:\n%s\n' "$missing" >&2; return 1; }
	[[ $(wc -l <"$T/theirs") -ge $1 ]] || { cat "$T/theirs" >&2; return 1; }
	untouched
}

@test "perl" {
	held /usr/bin/perl -e '$| = 1; use Storable "dclone"; use POSIX; while (my $n = <STDIN>) {
		my %h = map { ("key$_" => ["value"]) } 1 .. 30; my $d = dclone(\%h);
		my $s = join ",", sort keys %$d;
		$s =~ s/(\d+)/<$1>/g; my @l = sort { $b cmp $a } split /,/, $s; eval { die {a => 1} };
		eval q{ sub { my $x = shift; "$x$x" }->("a" x 50) }; my $t = strftime("%A", gmtime 0);
		print "done $n" }'
	same_as_gdb 8
}

@test "Debian's python3" {
	held /usr/bin/python3 -c 'import sys, json, re, zlib, sqlite3
def made(n):
    yield from ([bytes(700)] * n for n in range(n))
def down(n):
    return down(n - 1) if n else sorted(list(made(80)), key=lambda l: len(l))
db = sqlite3.connect(":memory:")
db.create_function("f", 1, lambda x: "y" * 700)
for line in sys.stdin:
    text = json.dumps([down(5) and "x" * 900 for _ in range(10)])
    re.sub("(x+)", lambda m: m[1] * 2, text); zlib.compress(text.encode()); json.loads(text)
    db.execute("select f(1), hex(zeroblob(900))").fetchall()
    print("done", line, end="", flush=True)'
	same_as_gdb 3
}

@test "sqlite3" {
	input() {
		echo "create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 40)
			insert into t select i, hex(zeroblob(i * 9)) from n; create index i on t(b);
			select length(group_concat(b)), json_group_array(a) from t group by length(b) % 3 order by 1;
			select a, sum(a) over (order by b) from t limit 3; drop table t; select 'done $1';"
	}
	held sqlite3 :memory:
	same_as_gdb 15
}

@test "jq" {
	held jq --unbuffered -r '. as $n | reduce range(30) as $i ({}; .["k\($i)"] = ($i | tostring))
		| (tojson | fromjson | to_entries | map(.value | test("1.*2")) | length) as $l
		| [(try error("x") catch .), (["a"] | @base64 "\(.)")]
		| [([range(20) | tostring] | group_by(length) | length), .]
		| "done \($n)"'
	same_as_gdb 8
}

@test "bash" {
	held bash -c 'while read -r n; do a=$n; for i in {1..20}; do b[$i]="x$i${a/[0-9]/y}"; done
		[[ ${b[*]} =~ (x+) ]]; declare -A h=([a]=1 [b]=2)
		f() { local c=${1^^}; (( $# > 8 )) || f "$@" "$c"; }; f a
		eval "d=(${b[*]@Q})"; read -r q <<<"${!h[*]}"; printf -v r "%s-%q" "${d[@]}"; echo "done $n"; done'
	same_as_gdb 15
}

@test "git cat-file" {
	local repository=$T/repository
	input() { printf '%s\n' HEAD: 'HEAD^{tree}' HEAD "done $1"; }
	git init -q "$repository"
	echo text >"$repository/file"
	git -C "$repository" add file
	git -C "$repository" -c user.name=a -c user.email=a@b commit -q -m one
	held git -C "$repository" cat-file --batch # answers "done N missing"
	same_as_gdb 3
}
