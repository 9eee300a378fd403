#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The tree is in house style, and the check sees what is not.
set -u
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

test_number=0
report() { # STATUS NAME
	test_number=$((test_number + 1))
	[ "$1" -eq 0 ] && echo "ok $test_number - $2" || echo "not ok $test_number - $2"
}

found() { # TEXT, in what check-style says of $tree
	cp .clang-format "$tree"
	tools/check-style "$tree" 2>&1 | grep -qF "$1"
}

echo 1..4
tools/check-style 2>&1 | sed 's/^/# /'
report "${PIPESTATUS[0]}" "the tree is in house style"

mkdir "$tree/user"
printf '%s\n' '/* SPDX-License-Identifier: GPL-2.0-or-later */' 'int f(void)' '{' '    return 0;' '}' \
	>"$tree/user/a.c"
found "user/a.c:4: clang-format"
report $? "an indent of spaces is found"

printf '\tint i; /* %0100d */\n' 0 >>"$tree/user/a.c"
found "user/a.c:6: wider than 100 columns"
report $? "a wide line is found"

{
	printf '%s\n' 'int g(void)' '{'
	yes '	g();' | head -61
	echo '}'
} >>"$tree/user/a.c"
found "g is 61 lines long"
report $? "a long function is found"
