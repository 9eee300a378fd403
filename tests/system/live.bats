# SPDX-License-Identifier: GPL-2.0-or-later
# The live view in a real terminal: tmux holds it, keys are sent, screens are captured.
load helper

terminal() { tmux -L "memwatch-$BASHPID_OF_TEST" -f /dev/null "$@"; }

live() { # COLUMNS LINES ARGUMENT…: the view of the workload, after its first snapshot
	local columns=$1 lines=$2
	shift 2
	BASHPID_OF_TEST=$$-$BATS_TEST_NUMBER
	terminal new-session -d -s live -x "$columns" -y "$lines" \
		"cd '$T'; LC_ALL=${LOCALE:-C.UTF-8} ${COLOUR:-} '$MEMWATCH' --max-blocks 200000 $* 2>'$T/err'
		 echo \"status \$?\"; exec sleep 1000" 3>&- {LINE}>&-
	wait_for "memwatch observes" observed_by_terminal
	wait_for "a screen" screen_has 'LIVE'
}
observed_by_terminal() { has_line "$T/err" '^memwatch: observing'; }

keys() { terminal send-keys -t live "$@"; }
screen() { terminal capture-pane -p -t live; }
screen_has() { # REGULAR-EXPRESSION
	screen >"$T/screen"
	grep -Eq -- "$1" "$T/screen"
}
shows() { wait_for "a screen with $1" screen_has "$1" || { cat "$T/screen" >&2; return 1; }; }

left() { # the view is gone, its last snapshot and the status are there
	shows '^status 0$'
	terminal capture-pane -p -S - -t live >"$T/screen"
	grep -Eq "^[0-9:]{8}  .*live " "$T/screen"
}

close() {
	terminal kill-server 2>/dev/null || true
	untouched
}

shapes() { # COLUMNS LINES [ARGUMENT…]
	local name
	workload shapes
	live "$1" "$2" -p "$WORK" "${@:3}" 0.2
	work
	shows 'live 412 KiB in 1017 blocks'
	for name in large small mixed churn spike; do
		shows " $name " # a row's name comes after its figures
	done
}

@test "the first screen: header, table, figures" {
	shapes 120 30
	shows "^shapes\[$WORK\]  live 412 KiB in 1017 blocks"
	shows 'memwatch [0-9.]+% CPU, [0-9.]+ MiB'
	shows '^ +391 KiB +2 .*large shapes\.c:[0-9]+ ← few ← main'
	shows '^ +15\.6 KiB +1000 .*small'
	shows '⣿'
	keys q
	left
	close
	finish
}

@test "plain ASCII, one colour" {
	LOCALE=C COLOUR='NO_COLOR=1' shapes 80 24
	shows 'large shapes\.c:[0-9]+ < few'
	screen >"$T/screen"
	! LC_ALL=C grep -q '[^ -~]' "$T/screen"
	! terminal capture-pane -p -e -t live | grep -Eq $'\e\[3[0-9]m'
	close
	finish
}

@test "sorting by the columns" {
	shapes 120 30
	shows '▼LIVE'
	keys s
	shows '▼BLOCKS'
	screen | grep -A1 BLOCKS | tail -1 | grep -q small
	keys s s
	shows '▼PEAK'
	screen | grep -A1 PEAK | tail -1 | grep -q spike
	keys '<' '<' '<'
	shows '▼LIVE'
	close
	finish
}

@test "a stack's frames with their source lines, from the root and from the leaf, and back" {
	shapes 120 30
	keys Enter
	shows 'FRAMES from the root'
	shows '412 KiB +1017 .*_start'
	shows '391 KiB +2 .*large  shapes\.c:[0-9]+   .*malloc\(200000\)'
	shows '21\.5 KiB +1015 .*main'
	keys r
	shows 'FRAMES from the leaf'
	keys Escape
	shows '▼LIVE'
	close
	finish
}

@test "what rows are; a row's stacks" {
	shapes 120 30
	keys g
	shows 'FUNCTION$'
	shows '391 KiB.* large$'
	keys g
	shows '391 KiB.*shapes\.c:[0-9]+$'
	keys g g
	shows '412 KiB.* shapes$'
	keys Enter
	shows 'small shapes\.c'
	close
	finish
}

@test "the filter works as it is typed, and Escape drops it" {
	shapes 120 30
	keys / S m a
	shows '^/Sma_'
	shows '^1 row  /Sma'
	! screen_has 'large'
	keys Escape
	shows 'large'
	close
	finish
}

@test "the change since a baseline" {
	workload shapes
	live 120 30 -p "$WORK" 0.2
	keys b
	shows '▼CHANGE'
	work
	shows '\+412 KiB since [0-9:]{8}'
	shows '\+391 KiB .*large'
	keys B
	shows '▼LIVE'
	close
	finish
}

@test "pause: the screen stands still, collection goes on" {
	workload shapes
	live 120 30 -p "$WORK" 0.2
	keys Space
	shows PAUSED
	work
	sleep 1
	screen_has 'live 0 B'
	keys Space
	shows 'live 412 KiB'
	close
	finish
}

@test "only what is older; a shorter interval" {
	shapes 120 30
	keys o 1 h Enter
	shows 'older than 1 h'
	shows '^0 rows'
	keys o x Enter
	shows '^a duration is wanted'
	keys o Enter
	shows '^5 rows$'
	shows 'every 0\.2 s'
	keys +
	shows 'every 0\.5 s'
	keys - - -
	shows 'every 0\.1 s'
	close
	finish
}

@test "z: what is ever allocated counts from then on" {
	shapes 120 30
	shows '2\.9 MiB +3000 churn'
	keys z
	shows ' 0 B +0 churn'
	shows '^ +391 KiB +2 .*large'
	close
	finish
}

selected() { # FUNCTION, not in the first row: its row is drawn in reverse
	terminal capture-pane -p -e -t live >"$T/screen"
	grep -Eq $'^\e\\[7m.* '"$1 shapes" "$T/screen"
}

press() { # BUTTON COLUMN LINE, as xterm says it: one byte each, from the space on
	local bytes
	printf -v bytes '\\%03o' $((32 + $1)) $((32 + $2)) $((32 + $3))
	printf -v bytes "\e[M$bytes"
	terminal send-keys -t live -l "$bytes"
}
click() { # COLUMN LINE
	press 0 "$@"
	press 3 "$@" # released
}

@test "the mouse: a click selects, another opens, the wheel moves" {
	local line
	shapes 120 30
	line=$(screen | grep -n ' mixed ' | cut -d: -f1)
	click 30 "$line"
	wait_for "mixed is selected" selected mixed
	press 64 30 "$line"
	wait_for "small is selected" selected small
	press 65 30 "$line"
	wait_for "mixed is selected again" selected mixed
	click 30 "$line"
	shows 'FRAMES from the root'
	close
	finish
}

@test "the selection follows its row through another order" {
	shapes 120 30
	keys Down
	wait_for "small is selected" selected small
	keys s s s
	shows '▼PEAK'
	wait_for "small is selected still" selected small
	screen | grep -A1 '▼PEAK' | tail -1 | grep -q spike
	close
	finish
}

@test "f writes a flame graph of what is shown, and of the change since a baseline" {
	local page profile
	shapes 120 30
	if [[ ! -s $O/web/page.html ]]; then
		keys f
		shows 'this build has no flame graph'
		close
		skip "this build has no flame graph"
	fi
	keys /
	keys -l large
	keys Enter
	shows '^ +391 KiB +2 '
	keys f
	shows '^wrote memwatch-[0-9-]+\.html'
	page=$(echo "$T"/memwatch-*.html)
	equal 600 "$(stat -c %a "$page")" mode
	profile=$(sed '1,/id="profile">$/d; /^<\/script>/,$d' "$page")
	equal '[400000,2]' "$(jq -c '[.calls.now[0][0], .calls.now[3][0]]' <<<"$profile")" "live"
	jq -e 'any(.strings[]; . == "large") and all(.strings[]; . != "small")' <<<"$profile"
	rm "$page"
	keys b f
	shows '^wrote memwatch-[0-9-]+\.html'
	page=$(echo "$T"/memwatch-*.html)
	profile=$(sed '1,/id="profile">$/d; /^<\/script>/,$d' "$page")
	equal '[400000,400000,0]' "$(jq -c '.calls | [.now[0][0], .old[0][0], .grew[0][0]]' <<<"$profile")" "change"
	close
	finish
}

@test "w writes a snapshot file that can be read" {
	shapes 120 30
	keys w
	shows '^wrote memwatch-[0-9-]+\.pb\.gz'
	"$MEMWATCH" report "$T"/memwatch-*.pb.gz >"$T/out"
	grep -Eq 'large +shapes\.c' "$T/out"
	close
	finish
}

@test "it is resized while it runs, down to 20 by 5 and up to 300 by 100" {
	shapes 80 24
	terminal resize-window -t live -x 20 -y 5
	shows '^  391 KiB large'
	equal 5 "$(screen | wc -l)" "lines"
	terminal resize-window -t live -x 300 -y 100
	shows 'ALLOCS'
	shows 'large .* __libc_start_main ← _start'
	close
	finish
}

@test "the whole system begins with processes; Enter goes into one" {
	workload shapes
	live 120 30 -n shapes 0.2
	work
	shows 'PROCESS$'
	shows "412 KiB.*shapes\[$WORK\]"
	keys Enter
	shows "all › shapes\[$WORK\]"
	shows 'large shapes\.c'
	keys Left
	shows 'PROCESS$'
	close
	finish
}

@test "the help names every key" {
	shapes 80 40
	keys '?'
	shows 'q, Ctrl-C'
	keys x
	shows LIVE
	close
	finish
}

@test "leaving by the count: what stays on the terminal has its names" {
	perl -e 'push @blocks, "x" x 1000 while select(undef, undef, undef, 0.001) == 0' 3>&- {LINE}>&- &
	WORK=$!
	BASHPID_OF_TEST=$$-$BATS_TEST_NUMBER
	terminal new-session -d -s live -x 120 -y 60 \
		"'$MEMWATCH' --max-blocks 200000 -p $WORK --top 2 0.2 5; echo \"status \$?\"; exec sleep 1000" \
		3>&- {LINE}>&-
	left
	grep -q '^ *perl_run ' "$T/screen"
	! grep -q 'unknown' "$T/screen"
	terminal kill-server
}

@test "leaving: Ctrl-C, SIGTERM, the target's end" {
	shapes 80 24
	keys C-c
	left
	close
	finish
	rm -f "$T/line" "$T/err"
	shapes 80 24
	pkill -TERM -P "$(terminal list-panes -t live -F '#{pane_pid}')" memwatch
	left
	close
	finish
	rm -f "$T/line" "$T/err"
	shapes 80 24
	release
	left
	terminal kill-server
}

@test "the terminal is lost: memwatch ends, and nothing is left behind" {
	shapes 80 24
	terminal kill-server
	close
	finish
}

@test "a name with control characters is shown escaped" {
	cp "$W/shapes" "$T/"$'e\e[31mvil'
	workload "$T/"$'e\e[31mvil'
	live 80 24 -p "$WORK" 0.2
	shows 'e\\x1b\[31mvil'
	work
	close
	finish
}
