// SPDX-License-Identifier: GPL-2.0-or-later
// The page: one graph, of one metric at a time. d3-flame-graph draws and zooms.
import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import * as colours from "./colours.js";
import * as page from "./page.js";
import { Profile } from "./profile.js";
import { percent, quantity } from "./units.js";
import "./flamegraph.css";

const FRAME_HEIGHT = 20, SMALLEST = 1, MARGINS = 24, TYPING_MS = 150;
// What a frame's width stands for in a difference.
const WIDTHS = [
	{ says: "what changed", of: (profile, call, metric) => profile.moved(call, metric) },
	{ says: "newer", of: (profile, call, metric) => call.now[metric] },
	{ says: "older", of: (profile, call, metric) => call.old[metric] },
];

let profile, chart, tree, metric = 0, width = 0, chosen, term = "", searching;

function widthOf(call) {
	return profile.isDifference ? WIDTHS[width].of(profile, call, metric) : call.now[metric];
}

function pageWidth() {
	return document.documentElement.clientWidth - MARGINS;
}

// d3-flame-graph's tree; it keeps what is zoomed in these nodes.
function makeTree(call) {
	return { name: "", value: 0, call, children: call.children.map(makeTree) };
}

function fill(node) {
	node.name = page.label(profile, node.call, metric);
	node.value = widthOf(node.call);
	node.children.forEach(fill);
}

// Where widths are what changed, the colour says which way most of it went.
function shareOf(call) {
	const whole = width === 0 ? profile.moved(call, metric)
		: Math.max(call.now[metric], call.old[metric]);

	return whole ? profile.change(call, metric) / whole : 0;
}

function colourOf(d) {
	if (d.highlight)
		return colours.found();
	return profile.isDifference ? colours.ofChange(shareOf(d.data.call))
		: colours.ofKind(d.data.call.frame);
}

function markChosen() {
	select("#graph").selectAll("g.frame").classed("chosen", d => d.data.call === chosen);
}

function choose(d) {
	chosen = d.data.call;
	page.byId("whole").hidden = !d.parent;
	page.showDetails(profile, chosen);
	markChosen();
}

function matches(d) {
	const { frame } = d.data.call;

	return [frame.name, frame.file, frame.module].some(text => text.toLowerCase().includes(term));
}

// What was found, each byte once: not again below a frame that was found.
function showFound(results) {
	const found = new Set(results), outermost = results.filter(d => {
		for (let above = d.parent; above; above = above.parent)
			if (found.has(above))
				return false;
		return true;
	});
	const sum = outermost.reduce((total, d) => total + widthOf(d.data.call), 0);

	page.byId("found").textContent = `${results.length} found: ` +
		`${quantity(sum, profile.metrics[metric])}, ${percent(sum, widthOf(profile.root))}`;
}

function search() {
	const before = term;

	term = page.byId("search").value.trim().toLowerCase();
	if (term) {
		chart.search(term);
	} else if (before) {
		page.byId("found").textContent = "";
		chart.clear();
	}
	markChosen();
}

// Drawing a large graph takes longer than typing a letter.
function searchSoon() {
	clearTimeout(searching);
	searching = setTimeout(search, TYPING_MS);
}

function showAround() {
	page.showChoice("metrics", "", profile.metrics.map(({ name }) => name), metric, i => {
		metric = i;
		redraw();
	});
	if (profile.isDifference)
		page.showChoice("widths", "width:", WIDTHS.map(({ says }) => says), width, i => {
			width = i;
			redraw();
		});
	page.showDetails(profile, chosen);
	page.showNotes(profile, metric);
	markChosen();
}

function redraw() {
	fill(tree);
	chart.update(tree);
	showAround();
	search();
}

function makeChart() {
	const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

	return flamegraph()
		.width(pageWidth())
		.cellHeight(FRAME_HEIGHT)
		.minFrameSize(SMALLEST)
		.inverted(true)
		.resetHeightOnZoom(true)
		.transitionDuration(calm ? 0 : 250)
		.sort((a, b) => b.data.value - a.data.value)
		.label(d => page.tooltip(profile, d.data.call, metric))
		.onClick(choose)
		.onHover(d => page.showDetails(profile, d.data.call))
		.setDetailsHandler(text => text === null && page.showDetails(profile, chosen))
		.setColorMapper(colourOf)
		.setSearchMatch(matches)
		.setSearchHandler(showFound);
}

function onKey(event) {
	if (event.key === "/" && document.activeElement !== page.byId("search")) {
		event.preventDefault();
		page.byId("search").focus();
	} else if (event.key === "Escape") {
		chart.resetZoom();
	}
}

function start() {
	profile = new Profile(JSON.parse(page.byId("profile").textContent));
	metric = Math.max(profile.find(profile.about.shown), 0);
	width = profile.isDifference && !profile.moved(profile.root, metric) ? 1 : 0;
	chosen = profile.root;
	tree = makeTree(profile.root);
	fill(tree);
	page.showTitle(profile);
	page.showLegend(profile.isDifference ? colours.legendOfChange()
		: colours.legendOfKinds(profile.kinds()));
	chart = makeChart();
	select("#graph").datum(tree).call(chart);
	showAround();
	page.byId("search").addEventListener("input", searchSoon);
	page.byId("whole").addEventListener("click", () => chart.resetZoom());
	addEventListener("keydown", onKey);
	addEventListener("resize", () => chart.width(pageWidth()).update());
}

addEventListener("DOMContentLoaded", start);
