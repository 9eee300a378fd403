/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

/* By hand, because printf's decimal point is the locale's, and scripts match these texts. */
static void print_tenths(char text[UNITS_TEXT], double value, bool plus, const char *unit)
{
	long long tenths = llrint(fabs(value) * 10);
	const char *sign = value < 0 ? "-" : plus ? "+" : "";

	snprintf(text, UNITS_TEXT, "%s%lld.%lld%s%s", sign, tenths / 10, tenths % 10,
		 *unit ? " " : "", unit);
}

static void print_whole(char text[UNITS_TEXT], double value, bool plus, const char *unit)
{
	const char *sign = value < 0 ? "-" : plus ? "+" : "";

	snprintf(text, UNITS_TEXT, "%s%lld%s%s", sign, llrint(fabs(value)), *unit ? " " : "", unit);
}

/* In the first unit of which there are less than `limit`; one decimal where it rounds below 100. */
static const char *print_bytes(char text[UNITS_TEXT], double bytes, bool sign, double limit,
			       double decimal)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t last = sizeof(names) / sizeof(names[0]) - 1;
	size_t unit = 0;

	if (!isfinite(bytes)) {
		snprintf(text, UNITS_TEXT, "? B");
		return text;
	}
	for (; unit < last && fabs(bytes) >= limit; unit++)
		bytes /= 1024;
	if (unit > 0 && fabs(bytes) < decimal)
		print_tenths(text, bytes, sign, names[unit]);
	else
		print_whole(text, bytes, sign, names[unit]);
	return text;
}

const char *units__size(char text[UNITS_TEXT], double bytes, bool sign)
{
	/* 1023.5 would be written as 1024, 99.95 as 100.0. */
	return print_bytes(text, bytes, sign, 1023.5, 99.95);
}

const char *units__bytes(char text[UNITS_TEXT], double bytes, bool sign)
{
	return print_bytes(text, bytes, sign, 10 * 1024, 100);
}

const char *units__count(char text[UNITS_TEXT], double count)
{
	static const char *const names[] = { "", "k", "M", "G", "T" };
	size_t last = sizeof(names) / sizeof(names[0]) - 1;
	size_t unit = 0;

	if (!isfinite(count)) {
		snprintf(text, UNITS_TEXT, "?");
		return text;
	}
	/* 999.5 would be written as 1000. */
	for (; unit < last && fabs(count) >= 999.5; unit++)
		count /= 1000;
	if (fabs(count) < 99.95 && (unit > 0 || (count != nearbyint(count) && fabs(count) < 10)))
		print_tenths(text, count, false, names[unit]);
	else
		print_whole(text, count, false, names[unit]);
	return text;
}

enum { FRACTION = 1000000000 };

/* Digits with at most one point among them. `*billionths` is what follows the point, cut off. */
static int parse_decimal(const char **text, uint64_t *whole, uint64_t *billionths)
{
	const char *at = *text;
	uint64_t scale = FRACTION;
	bool digits = false;

	*whole = *billionths = 0;
	for (; *at >= '0' && *at <= '9'; at++, digits = true) {
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, *at - '0', whole))
			return -EINVAL;
	}
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9'; at++, digits = true)
			*billionths += (scale /= 10) * (uint64_t)(*at - '0');
	}
	*text = at;
	return digits ? 0 : -EINVAL;
}

struct unit {
	const char *name;
	uint64_t value;
};

static int parse(const char *text, const struct unit *units, uint64_t *value)
{
	uint64_t whole, billionths;

	if (parse_decimal(&text, &whole, &billionths))
		return -EINVAL;
	for (; units->name; units++) {
		if (strcasecmp(text, units->name))
			continue;
		if (__builtin_mul_overflow(whole, units->value, &whole))
			return -EINVAL;
		billionths = (uint64_t)((unsigned __int128)billionths * units->value / FRACTION);
		return __builtin_add_overflow(whole, billionths, value) ? -EINVAL : 0;
	}
	return -EINVAL;
}

int units__parse_bytes(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "K", 1ULL << 10 },
		{ "KB", 1ULL << 10 },
		{ "KiB", 1ULL << 10 },
		{ "M", 1ULL << 20 },
		{ "MB", 1ULL << 20 },
		{ "MiB", 1ULL << 20 },
		{ "G", 1ULL << 30 },
		{ "GB", 1ULL << 30 },
		{ "GiB", 1ULL << 30 },
		{ "T", 1ULL << 40 },
		{ "TB", 1ULL << 40 },
		{ "TiB", 1ULL << 40 },
		{ NULL, 0 },
	};

	return parse(text, units, bytes);
}

static const struct unit durations[] = {
	{ "", 1000000000 },
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "m", 60 * 1000000000ULL },
	{ "h", 3600 * 1000000000ULL },
	{ "d", 86400 * 1000000000ULL },
	{ NULL, 0 },
};

int units__parse_duration(const char *text, uint64_t *nanoseconds)
{
	return parse(text, durations, nanoseconds);
}

const char *units__duration(char text[UNITS_TEXT], uint64_t nanoseconds)
{
	const struct unit *unit = &durations[1]; /* behind the one without a name */

	for (const struct unit *larger = unit; larger->name && nanoseconds; larger++)
		if (nanoseconds % larger->value == 0)
			unit = larger;
	snprintf(text, UNITS_TEXT, "%" PRIu64 " %s", nanoseconds / unit->value, unit->name);
	return text;
}

/* Rounded first: of what took 600.03 s people read "10 m". */
const char *units__elapsed(char text[UNITS_TEXT], double seconds)
{
	static const uint64_t second = 1000000000;
	const struct {
		uint64_t below, step;
	} roundings[] = {
		{ second, second / 1000 },     { 60 * second, second / 10 },
		{ 3600 * second, second },     { 86400 * second, 60 * second },
		{ UINT64_MAX, 3600 * second },
	};
	uint64_t time = (uint64_t)(fmin(seconds, 1e9) * (double)second);
	size_t i = 0;

	while (time >= roundings[i].below)
		i++;
	time = (time + roundings[i].step / 2) / roundings[i].step * roundings[i].step;
	if (time > second && time % second)
		print_tenths(text, (double)time / (double)second, false, "s");
	else
		units__duration(text, time);
	return text;
}
