# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests on other kernels take for granted.

@test "the kernel has BTF and uprobes" {
	[ -s /sys/kernel/btf/vmlinux ]
	[ -e /sys/bus/event_source/devices/uprobe/type ]
}

@test "memwatch starts, with every library it needs" {
	[ -x build/memwatch ] || skip "memwatch is not built"
	build/memwatch --version
}

@test "the workloads start" {
	[ "$(echo | build/workloads/basic | head -n 1)" = ready ]
}

@test "a way to attach is found, by trying" {
	run build/memwatch doctor
	echo "$output"
	[ "$status" -eq 0 ]
	grep -q 'works, is used' <<<"$output"
}
