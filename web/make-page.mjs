// SPDX-License-Identifier: GPL-2.0-or-later
// usage: node make-page.mjs > PAGE
// The page of a flame graph in one file, up to where the profile's JSON begins: style, script, and the licences of
// the packages that are in it.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const read = path => readFileSync(join(here, path), "utf8");
const escaped = text => text.replace(/[&<>]/g, c => `&#${c.charCodeAt(0)};`);

// Names are kept: d3-flame-graph looks at one.
async function bundle() {
	const result = await build({
		absWorkingDir: here,
		entryPoints: ["flamegraph.js"],
		outdir: "out",
		bundle: true,
		write: false,
		metafile: true,
		format: "iife",
		target: "es2020",
		legalComments: "none",
		minifyWhitespace: true,
		minifySyntax: true,
	});
	const text = ending => result.outputFiles.find(({ path }) => path.endsWith(ending)).text.trim();

	return { script: text(".js"), style: text(".css"), inputs: Object.keys(result.metafile.inputs) };
}

function licence(name) {
	const folder = `node_modules/${name}`;
	const { version, license } = JSON.parse(read(`${folder}/package.json`));
	const file = readdirSync(join(here, folder)).find(entry => /^licen[cs]e/i.test(entry));

	if (!file)
		throw new Error(`${name} has no licence text`);
	return `${name} ${version} (${license})\n\n${read(`${folder}/${file}`).trim()}`;
}

function licences(inputs) {
	const names = inputs.map(path => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);

	return [...new Set(names.filter(Boolean))].sort().map(licence).join(`\n\n${"─".repeat(40)}\n\n`);
}

// Nothing but this script runs, and nothing is loaded.
function policy(script) {
	const hash = createHash("sha256").update(script).digest("base64");

	return `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`;
}

const { script, style, inputs } = await bundle();
if (/<\/script/i.test(script) || /<\/style/i.test(style))
	throw new Error("the bundle would end its own element");
const parts = {
	POLICY: policy(script),
	STYLE: style,
	SCRIPT: script,
	LICENCES: escaped(licences(inputs)),
};
process.stdout.write(read("flamegraph.html").replace(/@([A-Z]+)@/g, (_, name) => parts[name]));
