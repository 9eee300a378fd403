#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The BPF programs fit into Linux 6.1's stack, and the check sees when one does not.
set -u
object=$(mktemp)
trap 'rm -f "$object"' EXIT

test_number=0
report() { # STATUS NAME
	test_number=$((test_number + 1))
	[ "$1" -eq 0 ] && echo "ok $test_number - $2" || echo "not ok $test_number - $2"
}

# What the check says of a program, its function and that one's callback, of which each has so many bytes.
said() { # PROGRAM FUNCTION CALLBACK
	clang -target bpf -g -O2 -c -o "$object" -x c - <<-END
		#define ROOM(bytes) do { char room[bytes]; __asm__ volatile("" :: "r"(room) : "memory"); } while (0)
		static long (*loop)(int, void *, void *, long) = (void *)181;
		static long callback(int i, void *context) { ROOM($3); return 1; }
		static __attribute__((noinline)) int function(void) { ROOM($2); return loop(1, callback, 0, 0); }
		__attribute__((section("kprobe"))) int program(void) { ROOM($1); return function(); }
	END
	tools/check-bpf-stack "$object"
}

echo 1..3
tools/check-bpf-stack "$O/bpf/heap.bpf.o" | sed 's/^/# /'
report "${PIPESTATUS[0]}" "the programs fit"

[ -z "$(said 120 128 250)" ]
report $? "512 bytes are allowed: each is rounded up to 32"

said 129 128 250 | grep -qx "program takes 544 bytes .* allowed: callback 256 < function 128 < program 160"
report $? "a way that takes more is found"
