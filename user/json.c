/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "utf8.h"

void json__init(struct json *json, FILE *out)
{
	json->out = out;
	json->length = 0;
	json->error = 0;
	json->comma = false;
	json->in_page = false;
}

static void flush(struct json *json)
{
	errno = 0;
	if (!json->error && fwrite(json->buffer, 1, json->length, json->out) != json->length)
		json->error = errno ? -errno : -EIO;
	json->length = 0;
}

static void put(struct json *json, const char *bytes, size_t length)
{
	while (length > sizeof(json->buffer) - json->length) {
		size_t part = sizeof(json->buffer) - json->length;

		memcpy(json->buffer + json->length, bytes, part);
		json->length += part;
		bytes += part;
		length -= part;
		flush(json);
	}
	memcpy(json->buffer + json->length, bytes, length);
	json->length += length;
}

static void put_char(struct json *json, char character)
{
	put(json, &character, 1);
}

/* Most characters stand for themselves: this is asked of every byte that is written. */
static const bool plain[256] = {
	[0x20 ... '"' - 1] = true,
	['"' + 1 ... '\\' - 1] = true,
	['\\' + 1 ... 0x7e] = true,
};

static void put_unit(struct json *json, uint32_t unit)
{
	char text[8];

	put(json, text, snprintf(text, sizeof(text), "\\u%04x", unit));
}

/* The character at `text`, which is not plain; returns how many bytes it has. */
static int put_escaped(struct json *json, const char *text)
{
	uint32_t code;
	int length = utf8__decode(text, &code);
	char invalid[8];

	if (length == 0) {
		put(json, invalid,
		    snprintf(invalid, sizeof(invalid), "\\\\x%02x", (unsigned char)*text));
		return 1;
	}
	if (code == '<') {
		put_unit(json, code);
	} else if (code == '"' || code == '\\') {
		put_char(json, '\\');
		put_char(json, (char)code);
	} else if (!utf8__is_control(code)) {
		put(json, text, length);
	} else if (code < 0x10000) {
		put_unit(json, code);
	} else {
		put_unit(json, 0xd800 + ((code - 0x10000) >> 10));
		put_unit(json, 0xdc00 + ((code - 0x10000) & 0x3ff));
	}
	return length;
}

static void put_string(struct json *json, const char *text)
{
	put_char(json, '"');
	while (*text) {
		const char *end = text;

		while (plain[(unsigned char)*end] && !(json->in_page && *end == '<'))
			end++;
		put(json, text, end - text);
		text = end;
		if (*text)
			text += put_escaped(json, text);
	}
	put_char(json, '"');
}

/* `name` is one of ours: nothing in it is to be escaped. */
static void put_name(struct json *json, const char *name)
{
	if (json->comma)
		put_char(json, ',');
	json->comma = true;
	if (!name)
		return;
	put_char(json, '"');
	put(json, name, strlen(name));
	put(json, "\":", 2);
}

static void put_integer(struct json *json, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = '0' + value % 10;
	while (value /= 10);
	put(json, digits + at, sizeof(digits) - at);
}

void json__open(struct json *json, const char *name, char bracket)
{
	put_name(json, name);
	put_char(json, bracket);
	json->comma = false;
}

void json__close(struct json *json, char bracket)
{
	put_char(json, bracket);
	json->comma = true;
}

void json__string(struct json *json, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	put_name(json, name);
	put_string(json, value);
}

void json__integer(struct json *json, const char *name, uint64_t value)
{
	put_name(json, name);
	put_integer(json, value);
}

void json__change(struct json *json, const char *name, uint64_t old, uint64_t now)
{
	put_name(json, name);
	if (now < old)
		put_char(json, '-');
	put_integer(json, now < old ? old - now : now - old);
}

void json__real(struct json *json, const char *name, double value)
{
	const double most = 9e15; /* a thousand times this is below 2^63 */
	uint64_t thousandths;
	char decimals[8];

	if (isnan(value))
		return;
	thousandths = (uint64_t)llrint(fmin(fabs(value), most) * 1000);
	put_name(json, name);
	if (value < 0 && thousandths)
		put_char(json, '-');
	put_integer(json, thousandths / 1000);
	put(json, decimals,
	    snprintf(decimals, sizeof(decimals), ".%03u", (unsigned int)(thousandths % 1000)));
}

void json__bool(struct json *json, const char *name, bool value)
{
	put_name(json, name);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

int json__end(struct json *json)
{
	put_char(json, '\n');
	flush(json);
	errno = 0;
	if (!json->error && fflush(json->out))
		json->error = errno ? -errno : -EIO;
	return json->error;
}
