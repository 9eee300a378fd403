#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Layers point down only, and the check sees when they do not.
set -u
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

test_number=0
report() { # STATUS NAME
	test_number=$((test_number + 1))
	[ "$1" -eq 0 ] && echo "ok $test_number - $2" || echo "not ok $test_number - $2"
}

# A tree of the files given as FILE=INCLUDE…; what the check says of it must be TEXT ("" = nothing).
expect() { # NAME TEXT FILE=INCLUDE…
	local name=$1 text=$2 file said
	shift 2
	rm -rf "${tree:?}"/*
	mkdir "$tree/user" "$tree/bpf"
	for file in "$@"; do
		printf '#include %s\n' "${file#*=}" >>"$tree/${file%%=*}"
	done
	said=$(tools/check-includes "$tree" 2>&1)
	[ "$said" = "$text" ]
	report $? "$name"
	[ "$said" = "$text" ] || printf '# said: %s\n' "$said"
}

echo 1..9
tools/check-includes 2>&1 | sed 's/^/# /'
report "${PIPESTATUS[0]}" "the tree's layers point down"

expect "downward is right" "" \
	'user/object.h="process.h"' 'user/process.h=<stdint.h>' 'user/object.c="object.h"' \
	'user/object.c="../bpf/memwatch.h"' 'bpf/memwatch.h=<linux/types.h>'
expect "upward is found" "user/units.c:1: includes user/view.h, which is above it" \
	'user/units.c="view.h"' 'user/view.h=<stdio.h>'
expect "a cycle is found" "cycle: user/attach -> user/trial -> user/attach" \
	'user/attach.h="trial.h"' 'user/trial.c="attach.h"' 'user/trial.h=<stdint.h>'
expect "the skeleton is probe.c's" "user/attach.c:1: only ^user/probe\\.c\$ may include heap.skel.h" \
	'user/attach.c="heap.skel.h"' 'user/probe.c="heap.skel.h"'
expect "views know no /proc" "user/view_text.c:1: user/view is pure and may not include user/process.h" \
	'user/view_text.c="process.h"' 'user/process.h=<stdint.h>'
expect "the model knows no BPF" "user/snapshot.c:1: user/snapshot is pure and may not include <bpf/bpf.h>" \
	'user/snapshot.c=<bpf/bpf.h>'
expect "the wire contract stands alone" "bpf/memwatch.h:1: includes <linux/types.h> only" \
	'bpf/memwatch.h=<stdint.h>'
expect "a file needs a layer" "user/utils.h: has no layer; give it one in tools/check-includes" \
	'user/utils.h=<stdint.h>'
