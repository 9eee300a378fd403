# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside gdb, attached to a process: writes the stacks of its allocator calls to $STACKS, the nearest
frame first, each frame as module+offset in its file, and each return address as it is.

Of every EVERY calls one is walked, and no more than MOST in all. $STACKS.ready says that the
breakpoints are in place; SIGINT to the process ends it all. $STACKS.hits has how often each was
reached.
"""
import os

import gdb

EVERY, MOST = 3, 150
# gdb infers tail calls from DWARF: such a function's frame is no longer on the stack.
NOT_ON_STACK = gdb.INLINE_FRAME, gdb.TAILCALL_FRAME
STACKS = os.environ["STACKS"]


def maps():
    with open(f"/proc/{gdb.selected_inferior().pid}/maps", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            if len(fields) == 6:
                start, end = (int(address, 16) for address in fields[0].split("-"))
                yield start, end, int(fields[2], 16), os.path.basename(fields[5].strip())


def place(pc):
    for start, end, offset, module in MAPS:
        if start <= pc < end:
            return f"{module}+{pc - start + offset}"
    return "?"


def callers(frame):
    while frame:
        if frame.type() not in NOT_ON_STACK:
            yield place(frame.pc())
        frame = frame.older()


class Entry(gdb.Breakpoint):
    """An allocator's entry point."""

    calls = walked = 0

    def __init__(self, name):
        address = int(gdb.parse_and_eval(f"(unsigned long) &{name}"))
        super().__init__(f"*{address}", internal=True)
        self.name, self.hits = name, 0

    def stop(self):
        self.hits += 1
        Entry.calls += 1
        if Entry.walked < MOST and Entry.calls % EVERY == 0:
            Entry.walked += 1
            print(*list(callers(gdb.newest_frame()))[1:], file=OUT, flush=True)
        return False


MAPS = list(maps())
OUT = open(STACKS, "w", encoding="utf-8")
for command in ("backtrace past-main on", "backtrace past-entry on", "backtrace limit unlimited"):
    gdb.execute(f"set {command}")
gdb.execute("handle SIGINT stop nopass")
entries = [Entry(name) for name in ("malloc", "calloc", "realloc")]
open(STACKS + ".ready", "w", encoding="utf-8").close()
gdb.execute("continue")
with open(STACKS + ".hits", "w", encoding="utf-8") as hits:
    hits.writelines(f"{entry.name} {entry.hits}\n" for entry in entries)
gdb.execute("detach")
