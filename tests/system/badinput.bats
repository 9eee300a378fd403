# SPDX-License-Identifier: GPL-2.0-or-later
# One line, the right exit status, nothing left attached.
load helper

complains() { # STATUS ARGUMENT…
	local expected=$1 status=0
	shift
	timeout 120 "$MEMWATCH" "$@" >"$T/out" 2>"$T/err" 3>&- {LINE}>&- || status=$?
	equal "$expected" "$status" "exit status of memwatch $*"
	[[ ! -s $T/out ]]
	[[ $expected = 2 ]] || one_line_of_complaint
	grep -q '^memwatch: ' "$T/err"
}

# One that ended may come again as another, this one never.
no_pid() { cat /proc/sys/kernel/pid_max; }

@test "no such process" {
	local pid
	pid=$(no_pid)
	complains 1 -p "$pid"
	grep -q "$pid" "$T/err"
}

@test "one good process and one that does not exist" {
	local pid
	pid=$(no_pid)
	workload basic
	complains 1 -p "$WORK,$pid"
	grep -q "$pid" "$T/err"
	untouched
	work
	finish
}

@test "a program that valgrind runs is left alone" {
	command -v valgrind >/dev/null || skip "valgrind is not installed"
	mkfifo "$T/other.line"
	valgrind -q --tool=none "$W/basic-static" <"$T/other.line" >"$T/other" 2>"$T/other.err" 3>&- {LINE}>&- &
	OTHER=$!
	exec {OTHER_LINE}>"$T/other.line"
	wait_for "it is ready" has_line "$T/other" '^ready$'
	complains 1 -p "$OTHER"
	grep -q valgrind "$T/err"
	complains 1 -n 'no such name'
	grep -q valgrind "$T/err"
	text_clean "$OTHER" || skip "something else probes it"
	echo >&"$OTHER_LINE"
	wait_for "the truth" has_line "$T/other" '^\{'
}

@test "a kernel thread" {
	local pid
	pid=$(pgrep -x kthreadd) || skip "no kernel thread in sight"
	complains 1 -p "$pid"
	grep -qi 'kernel' "$T/err"
	"$MEMWATCH" doctor -p "$pid" >"$T/out" 2>"$T/err" && return 1
	one_line_of_complaint
	grep -q 'is a kernel thread' "$T/err"
}

@test "a zombie" {
	workload zombie
	complains 1 -p "$(grep '^[0-9]' "$T/truth")"
	grep -qi 'zombie\|exited\|dead' "$T/err"
	finish
}

@test "not root and no capabilities: says which are missing" {
	local open status=0
	open=$(mktemp -d)
	cp "$MEMWATCH" "$open/memwatch"
	chmod -R 755 "$open"
	workload basic
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$open/memwatch" -p "$WORK" >"$T/out" 2>"$T/err" 3>&- {LINE}>&- || status=$?
	rm -r "$open"
	equal 1 "$status" "exit status"
	one_line_of_complaint
	grep -qi 'CAP_\|root' "$T/err"
	work
	finish
}

@test "static and stripped: says what was looked at" {
	workload basic-stripped
	complains 1 -p "$WORK"
	grep -q 'basic-stripped' "$T/err"
	untouched
	work
	finish
}

@test "dynamic, without any library: it has been loaded, and is not waited for" {
	workload bare
	complains 1 -p "$WORK"
	grep -q 'no allocator found .* in bare, ld-linux' "$T/err"
	untouched
	finish
}

# A file mapped as code that is no sound ELF file: the rest of the process is observed all the same.
beside() { # FILE
	workload mapped "$1"
	observed
	same_sites
	same_totals
	finish
}

@test "a truncated ELF file in the target" {
	head -c 5000 "$LIBRARIES/libc.so.6" >"$T/truncated.so"
	beside "$T/truncated.so"
}

@test "an ELF file whose headers lie" {
	head -c 300000 "$LIBRARIES/libc.so.6" >"$T/lies.so"
	# section headers at 2^63, program headers 65535 of them, section names out of range
	printf '\0\0\0\0\0\0\0\200' | dd of="$T/lies.so" bs=1 seek=40 conv=notrunc status=none
	printf '\377\377' | dd of="$T/lies.so" bs=1 seek=56 conv=notrunc status=none
	printf '\377\377\377\377' | dd of="$T/lies.so" bs=1 seek=60 conv=notrunc status=none
	beside "$T/lies.so"
}

@test "an ELF file with a hostile symbol table" {
	cp "$LIBRARIES/libc.so.6" "$T/hostile.so"
	# sh_offset, sh_size, sh_link and sh_entsize of every section become huge
	local at shoff i
	shoff=$(od -An -tu8 -j40 -N8 "$T/hostile.so")
	for ((i = 1; i < 40; i++)); do
		at=$((shoff + i * 64 + 24))
		printf '\377\377\377\377\377\377\377\177\377\377\377\377\377\377\377\377\377\377\377\377' |
			dd of="$T/hostile.so" bs=1 seek=$at conv=notrunc status=none
	done
	beside "$T/hostile.so"
}

@test "a file of noise in the target" {
	{ printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\076\0'; yes noise | head -c 70000; } >"$T/noise.so"
	beside "$T/noise.so"
}

@test "an empty file mapped over a library's name after it was deleted" {
	mkdir "$T/lib"
	cp "$LIBRARIES/libc.so.6" "$T/lib"
	WORKLOAD_ENV=(LD_LIBRARY_PATH="$T/lib")
	workload basic
	rm "$T/lib/libc.so.6"
	: >"$T/lib/libc.so.6"
	observed
	same_sites
	finish
}

@test "standard output closed: said before anything is attached; record needs none" {
	local status=0
	workload basic
	timeout 120 "$MEMWATCH" --json -p "$WORK" 0.1 3 >&- 2>"$T/err" 3>&- {LINE}>&- || status=$?
	equal 1 "$status" "exit status"
	equal "memwatch: standard output is closed: nothing can be shown" "$(cat "$T/err")" "what is said"
	"$MEMWATCH" record -q -p "$WORK" --for 0.1 -o "$T/heap.pb.gz" <&- >&- 2>&- 3>&- {LINE}>&-
	[[ -s $T/heap.pb.gz ]]
	untouched
	work
	finish
}

full() { # ARGUMENT…: standard output is a full disk
	local status=0
	timeout 120 "$MEMWATCH" "$@" >/dev/full 2>"$T/err" 3>&- {LINE}>&- || status=$?
	equal 1 "$status" "exit status of memwatch $*"
	equal "memwatch: standard output: No space left on device" \
		"$(grep -v '^memwatch: observing' "$T/err")" "what is said"
}

@test "a full disk" {
	workload basic
	full --json -p "$WORK" 0.1 3
	full --plain -p "$WORK" 0.1 3
	full --help
	full --version
	full doctor
	untouched
	work
	finish
}

@test "a reader that goes away is no error worth a word" {
	local format
	workload basic
	for format in --json --plain; do
		timeout 120 "$MEMWATCH" $format -p "$WORK" 0.1 2>"$T/err" 3>&- {LINE}>&- | head -n 1 >"$T/out"
		[[ ${PIPESTATUS[0]} != 124 ]]
		equal 0 "$(grep -vc '^memwatch: observing' "$T/err")" "lines of complaint"
	done
	untouched
	work
	finish
}

@test "usage: unknown options, verbs and words" {
	complains 2 --no-such-option
	complains 2 no-such-verb
	complains 2 -p 1 2 3 4
	complains 2 -p
	complains 2 -p 1 0.5 -- --json
}

@test "usage: values that are none" {
	local pid
	for pid in abc 0 -1 1, ,1 1x 99999999999 ''; do
		complains 2 -p "$pid"
	done
	complains 2 -p 1 --sort size
	complains 2 -p 1 --by colour
	complains 2 -p 1 --top -3
	complains 2 -p 1 --top many
	complains 2 -p 1 --family pile
	complains 2 -p 1 --min-size 12Q
	complains 2 -p 1 --older soon
	complains 2 -p 1 --max-blocks 0
	complains 2 -p 1 --max-stacks x
	complains 2 -p 1 --max-depth 0
	complains 2 -p 1 --max-depth 513
	grep -q ' 512 ' "$T/err"
	complains 2 -p 1 0
	complains 2 -p 1 -1
	complains 2 -p 1 nan
	complains 2 -p 1 1 0
	complains 2 -p 1 1 1.5
	complains 2 record -p 1 -o ''
	complains 2 record -p 1 -o x --for 0
	complains 2 record -p 1 -o x --every 0
	complains 2 doctor -p 1 --json
	complains 2 doctor -n '*'
}
