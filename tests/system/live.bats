# SPDX-License-Identifier: GPL-2.0-or-later
# The live view in a real terminal: tmux holds it, keys are sent, screens are captured.
load helper

terminal() { env -u TMUX SHELL=/bin/bash LC_ALL=C.UTF-8 tmux -L "memwatch-$TERMINAL" -f /dev/null "$@"; }

started() { # COLUMNS LINES ARGUMENT…: the view of the workload, in a new terminal
	local columns=$1 lines=$2
	shift 2
	TERMINAL=$$-$BATS_TEST_NUMBER-$((++TERMINALS))
	terminal new-session -d -s live -x "$columns" -y "$lines" \
		"cd '$T'; LC_ALL=${LOCALE:-C.UTF-8} ${COLOUR:-} '$MEMWATCH' --max-blocks 200000 $* 2>'$T/err'
		 echo \"status \$?\"; exec sleep 1000" 3>&- {LINE}>&-
	VIEW=$(terminal display-message -p '#{pid}')
	wait_for "memwatch observes" observed_by_terminal
}
observed_by_terminal() { has_line "$T/err" '^memwatch: observing'; }

live() { # COLUMNS LINES ARGUMENT…: the same, after its first snapshot
	started "$@"
	shows 'LIVE'
}

keys() { terminal send-keys -t live "$@"; }
screen() { terminal capture-pane -p -t live; }
screen_has() { # REGULAR-EXPRESSION
	screen >"$T/screen"
	grep -Eq -- "$1" "$T/screen"
}
shows() { wait_for "a screen with $1" screen_has "$1"; }

# A screen may be caught while it is painted, its upper lines new and the lower ones old: what is to be seen together
# is waited for together.
screen_has_not() { # REGULAR-EXPRESSION, with REGULAR-EXPRESSION
	screen_has "$2" && ! grep -Eq -- "$1" "$T/screen"
}
first_under() { # HEADING FUNCTION
	screen >"$T/screen"
	grep -A1 -- "$1" "$T/screen" | tail -n 1 | grep -q " $2 "
}
shows_first() { wait_for "$2 to be first under $1" first_under "$@"; } # HEADING FUNCTION

left() { # the view is gone, its last snapshot and the status are there
	shows '^status 0$'
	terminal capture-pane -p -S - -t live >"$T/screen"
	grep -Eq "^[0-9:]{8}  .*live " "$T/screen"
}

close() {
	terminal kill-server 2>/dev/null || true
	VIEW=''
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
	equal 0 "$(LC_ALL=C grep -c '[^ -~]' "$T/screen")" "lines with other characters"
	terminal capture-pane -p -e -t live >"$T/screen"
	equal 0 "$(grep -Ec $'\e\[3[0-8]m' "$T/screen")" "lines with a colour"
	close
	finish
}

@test "sorting by the columns" {
	shapes 120 30
	shows_first '▼LIVE' large
	keys s
	shows_first '▼BLOCKS' small
	keys s s
	shows_first '▼PEAK' spike
	keys '<' '<' '<'
	shows_first '▼LIVE' large
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
	wait_for "small alone" screen_has_not 'large' '^1 row  /Sma'
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
	shows '⣿' # the graph has it
	grep -Eq 'PAUSED.* live 0 B' "$T/screen"
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
	shows_first '▼PEAK' spike
	wait_for "small is selected still" selected small
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
	wait_for "another page" a_page # what is said of the first may still be on the screen
	profile=$(sed '1,/id="profile">$/d; /^<\/script>/,$d' "$page")
	equal '[400000,400000,0]' "$(jq -c '.calls | [.now[0][0], .old[0][0], .grew[0][0]]' <<<"$profile")" "change"
	close
	finish
}

a_page() {
	page=$(echo "$T"/memwatch-*.html)
	[[ -e $page ]]
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
	workload /usr/bin/perl -e '$| = 1; print "ready\n"; <STDIN>; push @kept, "x" x 1000 for 1 .. 500;
		print "{done}\n"; <STDIN>; exit 7'
	started 120 60 -p "$WORK" --top 2 60 1
	shows 'waiting for the first snapshot'
	work
	keys - - - - - - - - # the interval, 0.1 s in the end: one snapshot, and it leaves
	left
	grep -q '^ *perl_run ' "$T/screen"
	equal 0 "$(grep -c 'unknown' "$T/screen")" "lines without a name"
	close
	finish
}

@test "leaving: Ctrl-C, SIGTERM, the target's end" {
	local shell
	shapes 80 24
	keys C-c
	left
	close
	finish
	rm -f "$T/line" "$T/err"
	shapes 80 24
	shell=$(terminal list-panes -t live -F '#{pane_pid}')
	pkill -TERM -P "$shell"
	left
	close
	finish
	rm -f "$T/line" "$T/err"
	shapes 80 24
	release
	left
	terminal kill-server
	VIEW=''
	dead 7
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
