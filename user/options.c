/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/memwatch.h"
#include "units.h"

enum { DEFAULT_TOP = 10, DEFAULT_INTERVAL_S = 2, SHORTEST_NS = 1000 * 1000 };

struct choice {
	const char *name;
	int value;
};

static const struct choice sorts[] = {
	{ "live", SORT_LIVE },
	{ "count", SORT_COUNT },
	{ "alloc", SORT_ALLOC },
	{ "allocs", SORT_ALLOCS },
	{ "peak", SORT_PEAK },
	{ "growth", SORT_GROWTH },
	{ NULL, 0 },
};
static const struct choice groups[] = {
	{ "stack", BY_STACK }, { "function", BY_FUNCTION }, { "line", BY_LINE },
	{ "file", BY_FILE },   { "module", BY_MODULE },     { "process", BY_PROCESS },
	{ NULL, 0 },
};
enum { FAMILIES_HEAP = 1, FAMILIES_MMAP = 2 };
static const struct choice families[] = {
	{ "heap", FAMILIES_HEAP },
	{ "mmap", FAMILIES_MMAP },
	{ "all", FAMILIES_HEAP | FAMILIES_MMAP },
	{ NULL, 0 },
};
static const struct choice rungs[] = {
	/* enum rung */
	{ "session", 0 },
	{ "multi", 1 },
	{ "perf", 2 },
	{ NULL, 0 },
};
static const struct choice verbs[] = {
	{ "top", VERB_TOP },   { "record", VERB_RECORD }, { "report", VERB_REPORT },
	{ "diff", VERB_DIFF }, { "export", VERB_EXPORT }, { "doctor", VERB_DOCTOR },
	{ NULL, 0 },
};
static const struct choice formats[] = {
	{ "folded", EXPORT_FOLDED },
	{ "flamegraph", EXPORT_FLAMEGRAPH },
	{ "speedscope", EXPORT_SPEEDSCOPE },
	{ "json", EXPORT_JSON },
	{ "csv", EXPORT_CSV },
	{ NULL, 0 },
};

enum option_id {
	OPT_PID,
	OPT_NAME,
	OPT_SORT,
	OPT_TOP,
	OPT_BY,
	OPT_CUMULATIVE,
	OPT_NATIVE,
	OPT_FAMILY,
	OPT_INCLUDE,
	OPT_EXCLUDE,
	OPT_MIN_SIZE,
	OPT_MAX_SIZE,
	OPT_OLDER,
	OPT_DEPTH,
	OPT_JSON,
	OPT_PLAIN,
	OPT_MAX_BLOCKS,
	OPT_MAX_STACKS,
	OPT_MAX_DEPTH,
	OPT_ATTACH,
	OPT_OUTPUT,
	OPT_FOR,
	OPT_EVERY,
	OPT_FORMAT,
	OPT_BASE,
	OPT_GREW,
	OPT_FAIL,
	OPT_LEAKS,
	OPT_VERBOSE,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION,
	OPTIONS,
};

/* The verbs that an option goes with: bits. */
enum {
	TOP = 1 << VERB_TOP,
	RECORD = 1 << VERB_RECORD,
	REPORT = 1 << VERB_REPORT,
	DIFF = 1 << VERB_DIFF,
	EXPORT = 1 << VERB_EXPORT,
	DOCTOR = 1 << VERB_DOCTOR,
	OBSERVE = TOP | RECORD,
	SHOW = TOP | REPORT | DIFF,
	SELECT = SHOW | EXPORT,
	ANY = OBSERVE | SELECT | DOCTOR,
};

static const struct {
	char letter; /* 0: none */
	const char *name;
	const char *value; /* NULL: it takes none */
	const char *help;
	unsigned int verbs;
} table[OPTIONS] = {
	[OPT_PID] = { 'p', "pid", "PID[,PID...]", "these processes", OBSERVE | DOCTOR },
	[OPT_NAME] = { 'n', "name", "GLOB",
		       "processes whose name matches, those that start later too", OBSERVE },
	[OPT_SORT] = { 's', "sort", "KEY", "live (default), count, alloc, allocs, peak, growth",
		       SELECT },
	[OPT_TOP] = { 't', "top", "N", "rows shown (default 10; 0: all)", SHOW },
	[OPT_BY] = { 'g', "by", "KEY", "stack (default), function, line, file, module, process",
		     SHOW },
	[OPT_CUMULATIVE] = { 0, "cumulative", NULL,
			     "with --by: charge every frame of a stack, each once", SHOW },
	[OPT_NATIVE] = { 0, "native", NULL,
			 "with --by: charge native frames also in Python programs", SHOW },
	[OPT_FAMILY] = { 0, "family", "FAMILY",
			 "heap, mmap (the program's own anonymous mappings), all (default)",
			 OBSERVE | SELECT },
	[OPT_INCLUDE] = { 0, "include", "GLOB",
			  "keep sites with this file, function or module in any frame", SELECT },
	[OPT_EXCLUDE] = { 0, "exclude", "GLOB", "drop them", SELECT },
	[OPT_MIN_SIZE] = { 'z', "min-size", "N", "only blocks of at least N bytes (K, M, G)",
			   OBSERVE },
	[OPT_MAX_SIZE] = { 'Z', "max-size", "N", "only blocks of at most N bytes", OBSERVE },
	[OPT_OLDER] = { 0, "older", "D", "only blocks that have lived at least D (500ms, 2s, 5m)",
			OBSERVE },
	[OPT_DEPTH] = { 0, "depth", "N", "frames shown (see --max-depth)", SHOW },
	[OPT_JSON] = { 0, "json", NULL, "one JSON object a snapshot, a line each", SHOW },
	[OPT_PLAIN] = { 0, "plain", NULL, "ranked text, also on a terminal", SHOW },
	[OPT_MAX_BLOCKS] = { 0, "max-blocks", "N", "live blocks that the kernel's table can hold",
			     OBSERVE },
	[OPT_MAX_STACKS] = { 0, "max-stacks", "N", "distinct stacks, and as many of over 54 frames",
			     OBSERVE },
	[OPT_MAX_DEPTH] = { 0, "max-depth", "N",
			    "frames captured of a stack (default 127, at most 512)", OBSERVE },
	[OPT_ATTACH] = { 0, "attach", "HOW", "session, multi, perf: force one, to diagnose",
			 OBSERVE },
	[OPT_OUTPUT] = { 'o', "output", "FILE",
			 "record, export: the file to write (-: standard output)",
			 RECORD | EXPORT },
	[OPT_FOR] = { 0, "for", "D", "record: end after D", RECORD },
	[OPT_EVERY] = { 0, "every", "D", "record: a numbered file every D", RECORD },
	[OPT_FORMAT] = { 0, "format", "F", "export: folded, flamegraph, speedscope, json, csv",
			 EXPORT },
	[OPT_BASE] = { 0, "base", "FILE", "export: a flame graph of what changed since this file",
		       EXPORT },
	[OPT_GREW] = { 0, "grew", "SIZE", "diff: only what grew by at least SIZE", DIFF },
	[OPT_FAIL] = { 0, "fail-on-growth", "SIZE",
		       "diff: exit with 3 if live bytes grew by more than SIZE", DIFF },
	[OPT_LEAKS] = { 0, "leaks", NULL,
			"report: what was never freed and still grows, in a series of files",
			REPORT },
	[OPT_VERBOSE] = { 'v', "verbose", NULL,
			  "say what is probed, where, and what the tables cost", ANY },
	[OPT_QUIET] = { 'q', "quiet", NULL, "say nothing but errors", ANY },
	[OPT_HELP] = { 'h', "help", NULL, "this text", ANY },
	[OPT_VERSION] = { 0, "version", NULL, "the version", ANY },
};

static const char usage[] =
	"memwatch [top] [TARGET] [OPTIONS] [INTERVAL [COUNT]]   which call stacks hold the memory\n"
	"memwatch record [TARGET] [OPTIONS] -o FILE             capture a snapshot to a file\n"
	"memwatch report FILE [OPTIONS]                         show a captured snapshot\n"
	"memwatch report --leaks FILE... [OPTIONS]              what a series of them leaks\n"
	"memwatch diff OLD NEW [OPTIONS]                        what grew, what shrank\n"
	"memwatch export FILE --format F [-o OUT]               for other programs\n"
	"memwatch doctor [-p PID]                               what works here, and why not\n\n"
	"Without -p or -n the whole system is observed. INTERVAL is in seconds (default 2),\n"
	"COUNT snapshots are shown. Most work needs root (or CAP_BPF, CAP_PERFMON, "
	"CAP_SYS_PTRACE).\n\n";

void options__help(FILE *out)
{
	fputs(usage, out);
	for (int i = 0; i < OPTIONS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].value ? " " : "",
			 table[i].value ? table[i].value : "");
		fprintf(out, "  %c%c%c %-22s %s\n", table[i].letter ? '-' : ' ',
			table[i].letter ? table[i].letter : ' ', table[i].letter ? ',' : ' ', left,
			table[i].help);
	}
}

static int refuse(const char *what, const char *value, const char *wanted)
{
	if (*value)
		log__error("%s '%s': %s", what, value, wanted);
	else
		log__error("%s: %s", what, wanted);
	return -EINVAL;
}

static int choose(const struct choice *choices, const char *what, const char *value, int *chosen)
{
	char names[128] = "one of";

	for (const struct choice *c = choices; c->name; c++) {
		if (!strcmp(c->name, value)) {
			*chosen = c->value;
			return 0;
		}
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s %s",
			 c == choices ? "" : ",", c->name);
	}
	return refuse(what, value, names);
}

static int parse_number(const char *what, const char *value, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || *number > max)
		return refuse(what, value, "a whole number is wanted");
	return 0;
}

static int parse_depth(const char *what, const char *value, uint32_t *depth)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	_Static_assert(MEMWATCH_MAX_WORDS == 512, "what is said here and in --help");
	if (*value < '0' || *value > '9' || *end || !number || number > MEMWATCH_MAX_WORDS)
		return refuse(what, value, "1 to 512 frames of a stack can be captured");
	*depth = number;
	return 0;
}

static int parse_bytes(const char *what, const char *value, uint64_t *bytes)
{
	return units__parse_bytes(value, bytes)
		       ? refuse(what, value, "bytes are wanted: 512, 4K, 1.5M")
		       : 0;
}

static int parse_duration(const char *what, const char *value, uint64_t *ns)
{
	return units__parse_duration(value, ns)
		       ? refuse(what, value, "a duration is wanted: 500ms, 2s, 5m")
		       : 0;
}

/* After or between which something is done. */
static int parse_period(const char *what, const char *value, uint64_t *ns)
{
	return parse_duration(what, value, ns)
		       ?: (*ns < SHORTEST_NS ? refuse(what, value, "at least 1ms is wanted") : 0);
}

static int parse_pids(struct options *options, const char *value)
{
	const char *at = value;

	while (1) {
		char *end;
		long pid = strtol(at, &end, 10);
		pid_t *pids;

		if (end == at || *at < '0' || *at > '9' || pid <= 0 || pid > 1 << 22 ||
		    (*end && *end != ','))
			return refuse("--pid", value,
				      "process ids are wanted, with commas between them");
		pids = realloc(options->pids, (options->pid_count + 1) * sizeof(*pids));
		if (!pids)
			return -ENOMEM;
		options->pids = pids;
		for (size_t i = 0; i < options->pid_count; i++)
			if (pids[i] == pid)
				pid = 0;
		if (pid)
			pids[options->pid_count++] = pid;
		if (!*end)
			return 0;
		at = end + 1;
	}
}

static void set_flag(struct options *o, enum option_id id)
{
	bool *const flags[OPTIONS] = {
		[OPT_CUMULATIVE] = &o->query.cumulative,
		[OPT_NATIVE] = &o->query.native,
		[OPT_JSON] = &o->json,
		[OPT_PLAIN] = &o->plain,
		[OPT_LEAKS] = &o->leaks,
		[OPT_HELP] = &o->help,
		[OPT_VERSION] = &o->version,
	};

	if (flags[id])
		*flags[id] = true;
	if (id == OPT_VERBOSE)
		o->log.level = LOG_VERBOSE;
	if (id == OPT_QUIET)
		o->log.level = LOG_QUIET;
}

/* Options whose value is a number: plain, of bytes or of time. */
static int set_amount(struct options *o, enum option_id id, const char *what, const char *value)
{
	uint64_t number = 0;
	int error = 0;

	switch (id) {
	case OPT_TOP:
		error = parse_number(what, value, SIZE_MAX, &number);
		o->query.top = number;
		break;
	case OPT_MIN_SIZE:
		return parse_bytes(what, value, &o->min_size);
	case OPT_MAX_SIZE:
		return parse_bytes(what, value, &o->max_size);
	case OPT_OLDER:
		return parse_duration(what, value, &o->older_ns);
	case OPT_DEPTH:
		error = parse_number(what, value, SIZE_MAX, &number);
		o->depth = number;
		break;
	case OPT_MAX_BLOCKS:
		error = parse_number(what, value, 1 << 30, &number);
		o->max_blocks = number;
		break;
	case OPT_MAX_STACKS:
		error = parse_number(what, value, 1 << 24, &number);
		o->max_stacks = number;
		break;
	case OPT_MAX_DEPTH:
		return parse_depth(what, value, &o->max_frames);
	case OPT_FOR:
		return parse_period(what, value, &o->for_ns);
	case OPT_EVERY:
		return parse_period(what, value, &o->every_ns);
	case OPT_GREW:
		return parse_bytes(what, value, &o->grew);
	case OPT_FAIL:
		return parse_bytes(what, value, &o->fail_on_growth);
	default:
		break;
	}
	if (!error && (id == OPT_MAX_BLOCKS || id == OPT_MAX_STACKS) && !number)
		return refuse(what, value, "at least 1 is wanted");
	return error;
}

static int set(struct options *o, enum option_id id, const char *value, size_t *includes,
	       size_t *excludes, int argc)
{
	int chosen = 0, error = 0;
	char what[32];

	snprintf(what, sizeof(what), "--%s", table[id].name);
	switch (id) {
	case OPT_PID:
		return parse_pids(o, value);
	case OPT_NAME:
		o->name = value;
		break;
	case OPT_SORT:
		error = choose(sorts, what, value, &chosen);
		o->query.sort = chosen;
		break;
	case OPT_BY:
		error = choose(groups, what, value, &chosen);
		o->query.by = chosen;
		break;
	case OPT_FAMILY:
		error = choose(families, what, value, &chosen);
		o->query.heap = chosen & FAMILIES_HEAP;
		o->query.mmap = chosen & FAMILIES_MMAP;
		break;
	case OPT_INCLUDE:
		o->globs[(*includes)++] = value;
		break;
	case OPT_EXCLUDE:
		o->globs[argc + (*excludes)++] = value;
		break;
	case OPT_ATTACH:
		error = choose(rungs, what, value, &o->rung);
		break;
	case OPT_OUTPUT:
		o->output = value;
		break;
	case OPT_FORMAT:
		error = choose(formats, what, value, &chosen);
		o->format = chosen;
		break;
	case OPT_BASE:
		o->base = value;
		break;
	default:
		if (table[id].value)
			return set_amount(o, id, what, value);
		set_flag(o, id);
	}
	return error;
}

/* No option may be given that the verb does not heed. */
static int check_verb(const struct options *o, const bool *given)
{
	char what[32];

	for (int id = 0; id < OPTIONS; id++) {
		if (!given[id] || table[id].verbs & 1U << o->verb)
			continue;
		snprintf(what, sizeof(what), "--%s", table[id].name);
		if (id == OPT_OLDER || id == OPT_MIN_SIZE || id == OPT_MAX_SIZE)
			return refuse(what, "",
				      "a file does not hold single blocks: give it to record");
		return refuse(what, "", "does not go with this verb; see memwatch --help");
	}
	return 0;
}

/* The files that a verb reads. */
static int parse_files(struct options *options, char **arguments, int count)
{
	bool two = options->verb == VERB_DIFF;
	int wanted = two ? 2 : 1;

	if (count < wanted)
		return refuse(two ? "diff" : "FILE", "",
			      two ? "two files are wanted: OLD NEW" : "a file is wanted");
	if (count > wanted && !options->leaks)
		return refuse("argument", arguments[wanted],
			      options->verb == VERB_REPORT ? "one file too many, without --leaks"
							   : "one file too many");
	options->files = (const char *const *)arguments;
	options->file_count = (size_t)count;
	return 0;
}

static int parse_positional(struct options *options, char **arguments, int count)
{
	int most = options->verb == VERB_RECORD ? 1 : 2;
	int error = 0;

	if (options->verb == VERB_REPORT || options->verb == VERB_DIFF ||
	    options->verb == VERB_EXPORT)
		return parse_files(options, arguments, count);
	if (count > most)
		return refuse(
			"argument", arguments[most],
			most == 1
				? "INTERVAL is all that record takes"
				: "INTERVAL and COUNT are all that is taken; see memwatch --help");
	if (count > 0) {
		error = units__parse_duration(arguments[0], &options->interval_ns);
		if (error || options->interval_ns < SHORTEST_NS ||
		    options->interval_ns > 86400000000000ULL)
			return refuse("argument", arguments[0],
				      "no verb of this build and no interval in seconds "
				      "(0.001 to 86400)");
	}
	if (count > 1)
		error = parse_number("COUNT", arguments[1], UINT64_MAX, &options->count);
	if (!error && count > 1 && !options->count)
		return refuse("COUNT", arguments[1], "at least 1 is wanted");
	return error;
}

static int check(const struct options *o)
{
	if (o->pid_count && o->name)
		return refuse("--name", o->name, "not together with --pid");
	if (o->query.by == BY_STACK && (o->query.cumulative || o->query.native))
		return refuse(o->query.cumulative ? "--cumulative" : "--native", "",
			      "goes with --by KEY");
	if (o->min_size > o->max_size)
		return refuse("--min-size", "", "is above --max-size: no block would be counted");
	if (o->json && o->plain)
		return refuse("--plain", "", "not together with --json");
	if (o->output && !*o->output)
		return refuse("--output", "", "the name of a file is wanted");
	if (o->verb == VERB_RECORD && !o->output)
		return refuse("record", "", "-o FILE is wanted");
	if (o->verb == VERB_EXPORT && !o->format)
		return refuse("export", "", "--format F is wanted");
	if (o->base && o->format != EXPORT_FLAMEGRAPH)
		return refuse("--base", "", "goes with --format flamegraph");
	if (o->verb == VERB_DIFF && o->query.sort == SORT_GROWTH)
		return refuse("--sort", "growth", "diff ranks by what changed between the files");
	if (o->leaks && o->query.sort != SORT_LIVE)
		return refuse("--sort", "", "--leaks has an order of its own");
	return 0;
}

/* getopt's tables, from ours. */
static void fill_getopt(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (int i = 0; i < OPTIONS; i++) {
		longs[i] = (struct option){ table[i].name,
					    table[i].value ? required_argument : no_argument, NULL,
					    256 + i };
		if (!table[i].letter)
			continue;
		*shorts++ = table[i].letter;
		if (table[i].value)
			*shorts++ = ':';
	}
	*shorts = 0;
}

static int option_of(int got)
{
	for (int i = 0; i < OPTIONS; i++)
		if (got == 256 + i || (got < 256 && table[i].letter && got == table[i].letter))
			return i;
	return -1;
}

static int parse_options(struct options *options, int argc, char **argv, bool *given)
{
	struct option longs[OPTIONS + 1] = { 0 };
	char shorts[OPTIONS * 2 + 2];
	size_t includes = 0, excludes = 0;
	int got;

	fill_getopt(longs, shorts);
	optind = 1;
	opterr = 0;
	while ((got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		int error, id = option_of(got);

		if (got == ':')
			return refuse("option", argv[optind - 1],
				      "a value is missing; see memwatch --help");
		if (id < 0)
			return refuse("option", argv[optind - 1], "unknown; see memwatch --help");
		given[id] = true;
		error = set(options, id, optarg, &includes, &excludes, argc);
		if (error)
			return error;
	}
	options->query.include = includes ? options->globs : NULL;
	options->query.exclude = excludes ? options->globs + argc : NULL;
	return 0;
}

static void set_defaults(struct options *options)
{
	memset(options, 0, sizeof(*options));
	options->query.top = DEFAULT_TOP;
	options->query.heap = options->query.mmap = true;
	options->max_size = options->fail_on_growth = UINT64_MAX;
	options->rung = -1;
	options->log.level = LOG_NORMAL;
	options->interval_ns = DEFAULT_INTERVAL_S * 1000000000ULL;
}

int options__parse(struct options *options, int argc, char **argv)
{
	bool given[OPTIONS] = { false };
	int error, first;

	set_defaults(options);
	options->globs = calloc(2 * argc + 2, sizeof(*options->globs));
	if (!options->globs)
		return -ENOMEM;
	error = parse_options(options, argc, argv, given);
	if (error || options->help || options->version)
		return error;
	first = optind;
	for (const struct choice *c = verbs; c->name && first < argc; c++)
		if (!strcmp(argv[first], c->name)) {
			options->verb = c->value;
			first++;
			break;
		}
	if (options->verb == VERB_DOCTOR && first < argc)
		return refuse("argument", argv[first], "doctor takes none");
	error = check_verb(options, given);
	error = error ?: parse_positional(options, argv + first, argc - first);
	return error ?: check(options);
}

void options__free(struct options *options)
{
	free(options->pids);
	free(options->globs);
}
