/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

enum {
	SAMPLES = 1 << 13, /* ten minutes of the shortest sensible interval */
	LABEL = 10,
	MOST_DOTS = 2 * 512,
};

struct sample {
	double seconds;
	uint64_t bytes;
};

struct history {
	size_t first, count;
	struct sample samples[SAMPLES]; /* a ring */
};

struct history *history__new(void)
{
	return calloc(1, sizeof(struct history));
}

void history__free(struct history *history)
{
	free(history);
}

static const struct sample *sample_at(const struct history *history, size_t index)
{
	return &history->samples[(history->first + index) % SAMPLES];
}

void history__add(struct history *history, double seconds, uint64_t bytes)
{
	size_t place = (history->first + history->count) % SAMPLES;

	history->samples[place] = (struct sample){ seconds, bytes };
	if (history->count < SAMPLES)
		history->count++;
	else
		history->first = (history->first + 1) % SAMPLES;
}

/* The time shown: grows with what there is, in steps that a reader knows. */
static double span_of(const struct history *history)
{
	static const double spans[] = { 60, 120, 300, 600 };
	double age =
		sample_at(history, history->count - 1)->seconds - sample_at(history, 0)->seconds;
	size_t i = 0;

	while (i + 1 < sizeof(spans) / sizeof(spans[0]) && spans[i] < age)
		i++;
	return spans[i];
}

struct plot {
	uint64_t dots[MOST_DOTS]; /* the most of each dot's time */
	int width;
	uint64_t most;
	double span;
};

/* What a sample says holds until the next. */
static void fill(const struct history *history, struct plot *plot)
{
	double now = sample_at(history, history->count - 1)->seconds;
	double dot = plot->span / plot->width, begin = now - plot->span;

	for (size_t i = 0; i < history->count; i++) {
		const struct sample *sample = sample_at(history, i);
		double end = i + 1 < history->count ? sample_at(history, i + 1)->seconds : now;
		int from = (int)((sample->seconds - begin) / dot), to = (int)((end - begin) / dot);

		if (end < begin)
			continue;
		from = from < 0 ? 0 : from;
		to = to >= plot->width ? plot->width - 1 : to;
		for (int k = from < to ? from : to; k <= to; k++)
			if (sample->bytes > plot->dots[k])
				plot->dots[k] = sample->bytes;
		if (sample->bytes > plot->most)
			plot->most = sample->bytes;
	}
}

/* Of `steps` for the whole height; something is never nothing. */
static int height(const struct plot *plot, int dot, int steps)
{
	double part = plot->most ? (double)plot->dots[dot] / (double)plot->most : 0;
	int steps_high = (int)(part * steps + 0.5);

	return plot->dots[dot] && !steps_high ? 1 : steps_high;
}

static int within(int value, int most)
{
	return value < 0 ? 0 : value < most ? value : most;
}

/* U+2800 and a bit for each of two by four dots; filled from below. */
static int put_braille(char *out, const struct plot *plot, int cell, int below, int lines)
{
	static const unsigned char left[] = { 0, 0x40, 0x44, 0x46, 0x47 };
	static const unsigned char right[] = { 0, 0x80, 0xa0, 0xb0, 0xb8 };
	int a = within(height(plot, 2 * cell, lines * 4) - below * 4, 4);
	int b = within(height(plot, 2 * cell + 1, lines * 4) - below * 4, 4);
	unsigned int bits = left[a] | right[b];

	if (!bits) {
		*out = ' ';
		return 1;
	}
	out[0] = (char)0xe2;
	out[1] = (char)(0xa0 | bits >> 6);
	out[2] = (char)(0x80 | (bits & 0x3f));
	return 3;
}

static int put_ascii(char *out, const struct plot *plot, int cell, int below, int lines)
{
	*out = " .:|"[within(height(plot, cell, lines * 3) - below * 3, 3)];
	return 1;
}

static void draw_line(const struct plot *plot, struct canvas *canvas, int line, int below,
		      int lines, int cells)
{
	char text[MOST_DOTS * 3 + 1];
	int length = 0;

	for (int i = 0; i < cells; i++)
		length += canvas__utf8(canvas) ? put_braille(text + length, plot, i, below, lines)
					       : put_ascii(text + length, plot, i, below, lines);
	text[length] = 0;
	canvas__put(canvas, line, LABEL + 1, cells, 0, text);
}

static void draw_labels(const struct plot *plot, struct canvas *canvas, int line, int lines)
{
	char number[UNITS_TEXT], span[24];

	canvas__put_right(canvas, line, 0, LABEL, STYLE_DIM,
			  units__size(number, (double)plot->most, false));
	snprintf(span, sizeof(span), "last %g m", plot->span / 60);
	if (lines > 1)
		canvas__put_right(canvas, line + lines - 1, 0, LABEL, STYLE_DIM, span);
}

void history__draw(const struct history *history, struct canvas *canvas, int line, int lines)
{
	struct plot plot = { 0 };
	int cells = canvas__columns(canvas) - LABEL - 1;

	if (!history->count || cells < 1 || lines < 1)
		return;
	cells = cells < MOST_DOTS / 2 ? cells : MOST_DOTS / 2;
	plot.width = canvas__utf8(canvas) ? cells * 2 : cells;
	plot.span = span_of(history);
	fill(history, &plot);
	draw_labels(&plot, canvas, line, lines);
	for (int i = 0; i < lines; i++)
		draw_line(&plot, canvas, line + i, lines - 1 - i, lines, cells);
}
