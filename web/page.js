// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of the page around the graph. Text goes in as text, never as markup.
import { place } from "./profile.js";
import { blocks, change, exact, exactChange, percent, printable, quantity, size } from "./units.js";

// Figures come in pairs: bytes, and the blocks that they are in.
const PAIRS = [
	{ says: "live", bytes: "live bytes", count: "live blocks" },
	{ says: "allocated", bytes: "allocated bytes", count: "allocations" },
	{ says: "peak", bytes: "peak bytes" },
];

export const byId = id => document.getElementById(id);

function element(tag, text, className) {
	const made = document.createElement(tag);

	made.textContent = text;
	if (className)
		made.className = className;
	return made;
}

// Buttons of which one is pressed.
export function showChoice(id, says, names, chosen, choose) {
	const buttons = names.map((name, i) => {
		const button = element("button", name);

		button.type = "button";
		button.setAttribute("aria-pressed", String(i === chosen));
		button.addEventListener("click", () => choose(i));
		return button;
	});

	byId(id).hidden = false;
	byId(id).replaceChildren(...(says ? [element("span", says)] : []), ...buttons);
}

export function showLegend(entries) {
	byId("legend").replaceChildren(...entries.map(([colour, says]) => {
		const entry = element("span", says), sample = document.createElement("i");

		sample.style.background = colour;
		entry.prepend(sample);
		return entry;
	}));
}

export function showTitle(profile) {
	const { file, base, time, elapsed_s: elapsed, mode, lost } = profile.about;
	const about = [
		time && `${time.slice(0, 19).replace("T", " ")} UTC`,
		elapsed && `${elapsed.toFixed(1)} s observed`,
		mode,
	];

	byId("title").textContent = [base, file].filter(Boolean).map(printable).join(" → ");
	byId("about").textContent = about.filter(Boolean).join(" · ");
	byId("lost").textContent = Object.entries(lost)
		.map(([what, count]) => `${what.replace("_", " ")} ${count}`).join(", ");
	if (byId("lost").textContent)
		byId("lost").prepend("lost: ");
	document.title = `${byId("title").textContent} – memwatch`;
}

function showWhat(call) {
	const { frame } = call;
	const what = element("div", "", "what");
	const kind = frame.inlined ? `${frame.kind}, inlined` : frame.kind;

	const parts = [
		[place(frame, true), "place"],
		[frame.module, "module"],
		[frame.kind !== "group" && `(${kind})`, "kind"],
	];

	what.append(element("b", frame.name),
		...parts.filter(([text]) => text).map(([text, name]) => element("span", text, name)));
	what.title = [frame.name, ...parts.map(([text]) => text)].filter(Boolean).join("\n");
	return what;
}

function figure(profile, call, pair) {
	const at = profile.find(pair.bytes), count = pair.count ? profile.find(pair.count) : -1;
	const bytes = call.now[at];
	// Peaks of several sites were not at one time.
	const bound = pair.says === "peak" && call.sites > 1 ? "≤ " : "";
	let text = `${bound}${size(bytes)} (${exact(bytes)})`;

	if (count >= 0)
		text += ` in ${blocks(call.now[count])}`;
	return `${text}, ${percent(bytes, profile.root.now[at])} of all`;
}

function figureOfChange(profile, call, pair) {
	const at = profile.find(pair.bytes), count = pair.count ? profile.find(pair.count) : -1;
	const bytes = profile.change(call, at);
	let text = `${change(bytes, profile.metrics[at])} (${exactChange(bytes)})`;

	if (count >= 0)
		text += ` in ${change(profile.change(call, count), profile.metrics[count])} blocks`;
	return `${text}: ${size(call.old[at])} → ${size(call.now[at])}`;
}

function showFigures(profile, call) {
	const figures = document.createElement("dl");

	for (const pair of PAIRS.filter(({ bytes }) => profile.find(bytes) >= 0)) {
		const text = (profile.isDifference ? figureOfChange : figure)(profile, call, pair);

		figures.append(element("dt", pair.says), element("dd", text, pair.says));
	}
	return figures;
}

export function showDetails(profile, call) {
	byId("details").replaceChildren(showWhat(call), showFigures(profile, call));
}

// What stands in a frame where there is room, and what the pointer is told.
export function label(profile, call, metric) {
	const { frame } = call;
	const text = [frame.name, place(frame)].filter(Boolean).join("  ");

	if (!profile.isDifference)
		return text;
	return `${change(profile.change(call, metric), profile.metrics[metric])}  ${text}`;
}

export function tooltip(profile, call, metric) {
	const { name } = profile.metrics[metric], now = quantity(call.now[metric], profile.metrics[metric]);
	const text = label(profile, call, metric);

	if (!profile.isDifference)
		return `${text}\n${name}: ${now}, ${percent(call.now[metric], profile.root.now[metric])}`;
	return `${text}\n${name}: ${quantity(call.old[metric], profile.metrics[metric])} → ${now}`;
}

export function showNotes(profile, metric) {
	const { folded } = profile.about, notes = [];

	if (folded)
		notes.push(`${folded.calls} frames, none of them more than ` +
			`${folded.share_millionths / 1e4} % of anything here, are folded together: [smaller].`);
	if (profile.metrics[metric].name === "peak bytes")
		notes.push("Peaks are the sums of each site's own: sites need not have had them at one time.");
	byId("notes").textContent = notes.join(" ");
}
