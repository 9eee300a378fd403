// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers and names as people read them: the same words as user/units.c and user/line.c write.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function sign(value) {
	return value < 0 ? "−" : value > 0 ? "+" : "±";
}

// "3.0 MiB", "512 KiB", "24 B": below 1024 of a unit.
export function size(bytes) {
	let unit = 0;

	for (; unit < UNITS.length - 1 && bytes >= 1023.5; unit++)
		bytes /= 1024;
	return `${unit > 0 && bytes < 99.95 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

export function quantity(value, metric) {
	return metric.unit === "bytes" ? size(value) : String(value);
}

export function change(value, metric) {
	return sign(value) + quantity(Math.abs(value), metric);
}

export function exact(value) {
	return `${value} ${value === 1 ? "byte" : "bytes"}`;
}

export function exactChange(value) {
	return sign(value) + exact(Math.abs(value));
}

export function blocks(count) {
	return `${count} ${count === 1 ? "block" : "blocks"}`;
}

export function percent(part, whole) {
	return `${(whole ? (100 * part) / whole : 0).toFixed(1)} %`;
}

// Names are data: what would hide or reorder text is shown by its number.
export function printable(text) {
	return text.replace(/[\p{C}\u2028\u2029]/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);
}
