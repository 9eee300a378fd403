// SPDX-License-Identifier: GPL-2.0-or-later
// What memwatch wrote (user/export_flamegraph.c), as a tree. No figure is made up here: a call has
// the ones it came with, and changes are differences of two of them.
import { printable } from "./units.js";

function basename(path) {
	return path.slice(path.lastIndexOf("/") + 1);
}

function makeFrames({ frames, strings }) {
	const names = strings.map(printable);
	const text = number => (number ? names[number - 1] : "");

	return frames.kind.map((kind, i) => ({
		kind,
		name: text(frames.name[i]),
		file: text(frames.file[i]),
		line: frames.line[i],
		module: text(frames.module[i]),
		inlined: Boolean(frames.inlined[i]),
	}));
}

// "file:line", or "" where neither is known.
export function place(frame, whole) {
	const file = whole ? frame.file : basename(frame.file);

	return file && frame.line ? `${file}:${frame.line}` : file;
}

// Columns to calls; a parent comes before its children.
function makeCalls(profile, frames) {
	const { parent, frame, sites, now, old, grew } = profile.calls;
	const column = (table, i) => table && table.map(values => values[i]);
	const calls = frame.map((number, i) => ({
		frame: frames[number],
		sites: sites[i],
		now: column(now, i),
		old: column(old, i),
		grew: column(grew, i),
		children: [],
	}));

	for (let i = 1; i < calls.length; i++)
		calls[parent[i]].children.push(calls[i]);
	return calls;
}

export class Profile {
	constructor(written) {
		this.about = written;
		this.metrics = written.metrics;
		this.isDifference = Boolean(written.calls.old);
		this.calls = makeCalls(written, makeFrames(written));
		this.root = this.calls[0];
	}

	// The index of a metric by its name; -1: the files do not hold it.
	find(name) {
		return this.metrics.findIndex(metric => metric.name === name);
	}

	change(call, metric) {
		return call.now[metric] - call.old[metric];
	}

	// What grew below and what shrank below, together.
	moved(call, metric) {
		return 2 * call.grew[metric] - this.change(call, metric);
	}

	kinds() {
		return new Set(this.calls.map(call => call.frame.kind));
	}
}
