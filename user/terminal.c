/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal.h"

#define NCURSES_WIDECHAR 1
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "live_keys.h"

enum { PAIR_UP = 1, PAIR_DOWN, ESCAPE_MS = 25 };

struct terminal {
	SCREEN *screen;
	bool utf8, colours;
	int resizes; /* signalfd */
	int error, log; /* standard error as it was; what is said meanwhile. -1: left alone */
	off_t said; /* of the log */
};

bool terminal__usable(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind &&
	       strcmp(kind, "dumb") != 0;
}

/* Lines on standard error would be painted over, and paint over. */
static void keep_errors(struct terminal *terminal)
{
	terminal->error = terminal->log = -1;
	if (!isatty(STDERR_FILENO))
		return;
	terminal->log = memfd_create("memwatch", MFD_CLOEXEC);
	terminal->error = dup(STDERR_FILENO);
	if (terminal->log >= 0 && terminal->error >= 0)
		dup2(terminal->log, STDERR_FILENO);
}

static void give_errors_back(struct terminal *terminal)
{
	char text[4096];
	ssize_t length;
	off_t at = 0;

	if (terminal->log >= 0 && terminal->error >= 0) {
		dup2(terminal->error, STDERR_FILENO);
		while ((length = pread(terminal->log, text, sizeof(text), at)) > 0) {
			at += length;
			if (write(STDERR_FILENO, text, (size_t)length) != length)
				break;
		}
	}
	if (terminal->log >= 0)
		close(terminal->log);
	if (terminal->error >= 0)
		close(terminal->error);
}

static void start_colours(struct terminal *terminal)
{
	const char *no = getenv("NO_COLOR");

	if ((no && *no) || !has_colors() || start_color() == ERR)
		return;
	use_default_colors();
	terminal->colours = init_pair(PAIR_UP, COLOR_RED, -1) != ERR &&
			    init_pair(PAIR_DOWN, COLOR_GREEN, -1) != ERR;
}

static int open_resizes(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct terminal *terminal__new(void)
{
	struct terminal *terminal = calloc(1, sizeof(*terminal));

	if (!terminal)
		return NULL;
	setlocale(LC_CTYPE, "");
	terminal->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	terminal->resizes = open_resizes();
	terminal->screen = newterm(NULL, stdout, stdin);
	if (!terminal->screen) {
		close(terminal->resizes);
		free(terminal);
		return NULL;
	}
	keep_errors(terminal);
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	start_colours(terminal);
	mouseinterval(0);
	mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	return terminal;
}

void terminal__free(struct terminal *terminal)
{
	if (!terminal)
		return;
	endwin();
	delscreen(terminal->screen);
	give_errors_back(terminal);
	close(terminal->resizes);
	free(terminal);
}

int terminal__input_fd(const struct terminal *terminal)
{
	(void)terminal;
	return STDIN_FILENO;
}

int terminal__resize_fd(const struct terminal *terminal)
{
	return terminal->resizes;
}

bool terminal__lost(const struct terminal *terminal)
{
	struct pollfd input = { .fd = terminal__input_fd(terminal), .events = POLLIN };

	return poll(&input, 1, 0) == 1 && input.revents & (POLLHUP | POLLERR | POLLNVAL);
}

struct canvas *terminal__canvas(struct terminal *terminal)
{
	return canvas__new(COLS > 0 ? COLS : 1, LINES > 0 ? LINES : 1, terminal->utf8);
}

static attr_t attributes(const struct terminal *terminal, unsigned int style)
{
	attr_t attributes = A_NORMAL;

	if (style & STYLE_BOLD)
		attributes |= A_BOLD;
	if (style & STYLE_DIM)
		attributes |= A_DIM;
	if (style & STYLE_REVERSE)
		attributes |= A_REVERSE;
	if (terminal->colours && style & STYLE_UP)
		attributes |= COLOR_PAIR(PAIR_UP);
	if (terminal->colours && style & STYLE_DOWN)
		attributes |= COLOR_PAIR(PAIR_DOWN);
	return attributes;
}

/* ncurses sends only what differs from what is there. */
void terminal__paint(struct terminal *terminal, const struct canvas *canvas)
{
	erase();
	for (int line = 0; line < canvas__lines(canvas) && line < LINES; line++) {
		size_t count;
		const struct piece *pieces = canvas__pieces(canvas, line, &count);

		for (size_t i = 0; i < count; i++) {
			attrset(attributes(terminal, pieces[i].style));
			mvaddstr(line, pieces[i].column, pieces[i].text);
		}
	}
	attrset(A_NORMAL);
	refresh();
}

static const struct {
	int theirs, ours;
} keys[] = {
	{ KEY_UP, LIVE_KEY_UP },         { KEY_DOWN, LIVE_KEY_DOWN },
	{ KEY_LEFT, LIVE_KEY_LEFT },     { KEY_RIGHT, LIVE_KEY_RIGHT },
	{ KEY_PPAGE, LIVE_KEY_PAGE_UP }, { KEY_NPAGE, LIVE_KEY_PAGE_DOWN },
	{ KEY_HOME, LIVE_KEY_HOME },     { KEY_END, LIVE_KEY_END },
	{ KEY_ENTER, LIVE_KEY_ENTER },   { KEY_BACKSPACE, LIVE_KEY_BACKSPACE },
	{ KEY_F(1), LIVE_KEY_F1 },
};

static enum terminal_event read_mouse(int *value)
{
	MEVENT event;

	if (getmouse(&event) == ERR)
		return TERMINAL_NOTHING;
	if (event.bstate & BUTTON4_PRESSED)
		*value = LIVE_KEY_UP;
	else if (event.bstate & BUTTON5_PRESSED)
		*value = LIVE_KEY_DOWN;
	else
		*value = event.y;
	return event.bstate & (BUTTON4_PRESSED | BUTTON5_PRESSED) ? TERMINAL_KEY : TERMINAL_CLICK;
}

static enum terminal_event read_function_key(int code, int *value)
{
	if (code == KEY_MOUSE)
		return read_mouse(value);
	*value = 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].theirs == code)
			*value = keys[i].ours;
	return TERMINAL_KEY;
}

static bool has_resized(struct terminal *terminal)
{
	struct signalfd_siginfo info;
	struct winsize size;
	bool resized = false;

	while (read(terminal->resizes, &info, sizeof(info)) == (ssize_t)sizeof(info))
		resized = true;
	if (resized && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	return resized;
}

enum terminal_event terminal__read(struct terminal *terminal, int *value)
{
	wint_t got;
	int kind;

	if (has_resized(terminal))
		return TERMINAL_RESIZED;
	kind = get_wch(&got);
	if (kind == ERR)
		return TERMINAL_NOTHING;
	if (kind == KEY_CODE_YES)
		return read_function_key((int)got, value);
	*value = got == '\r' || got == '\n' ? LIVE_KEY_ENTER
		 : got == 27                ? LIVE_KEY_ESCAPE
					    : (int)got;
	return TERMINAL_KEY;
}

bool terminal__said(struct terminal *terminal, char *text, size_t size)
{
	off_t end = terminal->log < 0 ? 0 : lseek(terminal->log, 0, SEEK_END);
	off_t begin = end > terminal->said + (off_t)size - 1 ? end - (off_t)size + 1
							     : terminal->said;
	ssize_t length;
	char *last;

	if (end <= terminal->said)
		return false;
	terminal->said = end;
	length = pread(terminal->log, text, size - 1, begin);
	if (length <= 0)
		return false;
	while (length && text[length - 1] == '\n')
		length--;
	text[length] = 0;
	last = strrchr(text, '\n');
	if (last)
		memmove(text, last + 1, strlen(last + 1) + 1);
	return true;
}
