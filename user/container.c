/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container.h"

#include <stddef.h>
#include <string.h>

enum { DIGITS = 64 };

/* What stands before a name, and after it; by the folder it is in ("": any). */
static const struct {
	const char *folder, *before, *after;
	bool digits; /* the name is 64 of them, hexadecimal */
} patterns[] = {
	{ "", "", "", true }, /* docker, containerd and kubelet with the cgroupfs driver */
	{ "", "docker-", ".scope", true },
	{ "", "cri-containerd-", ".scope", true },
	{ "", "crio-", ".scope", true },
	{ "", "libpod-", ".scope", true },
	{ "", "libpod-", "", true },
	{ "", "lxc.payload.", "", false },
	{ "lxc", "", "", false },
	{ "machine.slice", "machine-", ".scope", false },
	{ "machine.slice", "systemd-nspawn@", ".service", false },
};

struct part { /* of a path */
	const char *text;
	size_t length;
};

static bool equals(struct part part, const char *text)
{
	return part.length == strlen(text) && !memcmp(part.text, text, part.length);
}

/* What is left of it without these; length 0: it has them not. */
static struct part stripped(struct part part, const char *before, const char *after)
{
	size_t head = strlen(before), tail = strlen(after);

	if (part.length <= head + tail || memcmp(part.text, before, head) ||
	    memcmp(part.text + part.length - tail, after, tail))
		return (struct part){ part.text, 0 };
	return (struct part){ part.text + head, part.length - head - tail };
}

static bool consists_of(struct part part, const char *characters)
{
	for (size_t i = 0; i < part.length; i++)
		if (!strchr(characters, part.text[i]))
			return false;
	return true;
}

static bool is_name(struct part name, bool digits)
{
	if (digits)
		return name.length == DIGITS && consists_of(name, "0123456789abcdef");
	return name.length && name.length < CONTAINER_SIZE &&
	       consists_of(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789_.-");
}

static void match(struct part folder, struct part part, char id[CONTAINER_SIZE])
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct part name = stripped(part, patterns[i].before, patterns[i].after);

		if ((*patterns[i].folder && !equals(folder, patterns[i].folder)) ||
		    !is_name(name, patterns[i].digits))
			continue;
		memcpy(id, name.text, name.length);
		id[name.length] = '\0';
		return;
	}
}

/* "0::/a/b": the path, from its first slash on. */
static void match_line(struct part line, char id[CONTAINER_SIZE])
{
	const char *end = line.text + line.length;
	const char *at = memchr(line.text, '/', line.length);
	struct part folder = { "", 0 };

	while (at) {
		struct part part = { at + 1, 0 };

		at = memchr(part.text, '/', (size_t)(end - part.text));
		part.length = (size_t)((at ? at : end) - part.text);
		match(folder, part, id);
		folder = part;
	}
}

bool container__of_cgroups(const char *text, char id[CONTAINER_SIZE])
{
	*id = '\0';
	while (*text) {
		size_t length = strcspn(text, "\n");

		match_line((struct part){ text, length }, id);
		text += length + (text[length] == '\n');
	}
	return *id;
}
