# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the workloads, once a run.
setup_suite() {
	local root
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	local out=${O:-build}
	[[ $out = /* ]] || out=$root/$out
	command -v make >/dev/null || return 0 # another machine: they were brought along
	make -s -C "$root/tests/workloads" O="$out" >&2
}
