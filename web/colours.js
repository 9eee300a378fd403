// SPDX-License-Identifier: GPL-2.0-or-later
// Colour says what kind of code a frame is, or whether it grew or shrank. Labels say it, too.

const KINDS = {
	native: { tint: "32 75%", says: "native" },
	python: { tint: "140 45%", says: "Python" },
	jit: { tint: "268 60%", says: "jitted" },
	kernel: { tint: "200 55%", says: "kernel" },
};
const GREY = [222, 222, 222], RED = [244, 112, 96], BLUE = [112, 160, 244];
const FOUND = "#ffe14d";

// The same name is always the same shade.
function shade(text) {
	let hash = 7;

	for (const character of text)
		hash = (hash * 31 + character.codePointAt(0)) % 997;
	return hash / 997;
}

export function ofKind(frame) {
	const kind = KINDS[frame.kind];

	return kind ? `hsl(${kind.tint} ${66 + 12 * shade(frame.name)}%)` : "#dedede";
}

// `share`: −1 (all of it shrank) to 1 (all of it grew).
export function ofChange(share) {
	const to = share > 0 ? RED : BLUE;
	const weight = Math.min(Math.abs(share), 1);

	return `rgb(${GREY.map((grey, i) => Math.round(grey + (to[i] - grey) * weight)).join(" ")})`;
}

export function found() {
	return FOUND;
}

// What is in the legend: [colour, words].
export function legendOfKinds(kinds) {
	return Object.entries(KINDS)
		.filter(([kind]) => kinds.has(kind))
		.map(([, { tint, says }]) => [`hsl(${tint} 72%)`, says]);
}

export function legendOfChange() {
	return [[ofChange(1), "+ grew"], [ofChange(0), "± as much"], [ofChange(-1), "− shrank"]];
}
