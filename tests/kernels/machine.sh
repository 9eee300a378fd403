#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The machine is what the other tests take for granted: BTF, uprobes, BPF, our libraries.
set -eu
[ -s /sys/kernel/btf/vmlinux ]
[ -e /sys/bus/event_source/devices/uprobe/type ]
[ ! -x /bin/memwatch ] || memwatch --version
