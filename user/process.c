/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROC_PATH = 64 };
#define PID_NS_INIT_INO 0xEFFFFFFCU   /* include/uapi/linux/nsfs.h */
enum { PF_KTHREAD = 0x00200000 }; /* include/linux/sched.h */

/* The whole of a /proc file, with a zero behind it; the caller frees. */
static int proc__read_fd(int fd, char **text)
{
	size_t room = 4096, length = 0;
	char *buffer = malloc(room);

	while (buffer) {
		ssize_t got = read(fd, buffer + length, room - length - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = -errno;

			free(buffer);
			return error;
		}
		if (got == 0)
			break;
		length += got;
		if (room - length == 1) {
			char *larger = realloc(buffer, room *= 2);

			if (!larger)
				free(buffer);
			buffer = larger;
		}
	}
	if (!buffer)
		return -ENOMEM;
	buffer[length] = '\0';
	*text = buffer;
	return 0;
}

/* A process without its files in /proc is one that is gone. */
static int proc__error(int error)
{
	return error == -ENOENT ? -ESRCH : error;
}

static int proc__read(pid_t pid, const char *file, char **text)
{
	char path[PROC_PATH];
	int fd, error;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return proc__error(-errno);
	error = proc__read_fd(fd, text);
	close(fd);
	return error;
}

static int pid__compare(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return (left > right) - (left < right);
}

/* The names in a folder that are numbers, ascending. */
static int proc__numbers(const char *path, pid_t **numbers, size_t *count)
{
	DIR *dir = opendir(path);
	pid_t *list = NULL;
	size_t room = 0, used = 0;
	struct dirent *entry;

	if (!dir)
		return proc__error(-errno);
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (used == room) {
			pid_t *larger =
				reallocarray(list, room = room ? room * 2 : 64, sizeof(*list));

			if (!larger) {
				free(list);
				closedir(dir);
				return -ENOMEM;
			}
			list = larger;
		}
		list[used++] = strtol(entry->d_name, NULL, 10);
	}
	closedir(dir);
	if (used)
		qsort(list, used, sizeof(*list), pid__compare);
	*numbers = list;
	*count = used;
	return 0;
}

int process__namespace(uint32_t *inode)
{
	struct stat stat_of;
	char self[16];
	ssize_t length = readlink("/proc/self", self, sizeof(self) - 1);

	if (length < 0 || stat("/proc/self/ns/pid", &stat_of))
		return -errno;
	self[length] = '\0';
	if (atoi(self) != getpid())
		return -ESTALE;
	*inode = stat_of.st_ino == PID_NS_INIT_INO ? 0 : (uint32_t)stat_of.st_ino;
	return 0;
}

int process__list(pid_t **pids, size_t *count)
{
	return proc__numbers("/proc", pids, count);
}

bool process__is_translated(pid_t pid)
{
	char link[PROC_PATH], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return !fnmatch("*/valgrind/*-amd64-linux", path, 0);
}

int process__comm(pid_t pid, char comm[COMM_SIZE])
{
	char *text;
	size_t length;
	int error = proc__read(pid, "comm", &text);

	if (error)
		return error;
	length = strlen(text);
	if (length && text[length - 1] == '\n')
		length--;
	if (length >= COMM_SIZE)
		length = COMM_SIZE - 1;
	memcpy(comm, text, length);
	comm[length] = '\0';
	free(text);
	return 0;
}

int process__container(pid_t pid, char id[CONTAINER_SIZE])
{
	char *text;
	int error = proc__read(pid, "cgroup", &text);

	*id = '\0';
	if (error)
		return error;
	container__of_cgroups(text, id);
	free(text);
	return 0;
}

/*
 * The kernel escapes nothing but the newline in these paths (fs/proc/task_mmu.c: seq_path with
 * "\n"), so nothing else is undone: a backslash is the file's own.
 */
static void path__unescape(char *path)
{
	char *to = path;

	while (*path) {
		if (!strncmp(path, "\\012", 4)) {
			*to++ = '\n';
			path += 4;
		} else {
			*to++ = *path++;
		}
	}
	*to = '\0';
}

static bool path__cut_deleted(char *path)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(path), tail = sizeof(mark) - 1;

	if (length <= tail || strcmp(path + length - tail, mark))
		return false;
	path[length - tail] = '\0';
	return true;
}

/* One line: "start-end rwxp offset major:minor inode      path". */
static int mapping__parse(const char *line, struct mapping *mapping)
{
	char prot[5];
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n",
		   &mapping->start, &mapping->end, prot, &mapping->offset, &mapping->major,
		   &mapping->minor, &mapping->inode, &path) != 7 ||
	    strlen(prot) != 4)
		return -EINVAL;
	mapping->prot = (prot[0] == 'r' ? MAPPING_READ : 0) | (prot[1] == 'w' ? MAPPING_WRITE : 0) |
			(prot[2] == 'x' ? MAPPING_EXEC : 0);
	mapping->shared = prot[3] == 's';
	mapping->path = strdup(line + path + strspn(line + path, " "));
	if (!mapping->path)
		return -ENOMEM;
	mapping->deleted = mapping->inode && path__cut_deleted(mapping->path);
	path__unescape(mapping->path);
	return 0;
}

static size_t text__lines(const char *text)
{
	size_t lines = 0;

	while ((text = strchr(text, '\n'))) {
		lines++;
		text++;
	}
	return lines;
}

static int mappings__parse(char *text, struct mappings *mappings)
{
	size_t lines = text__lines(text);
	char *line, *rest = text;

	*mappings =
		(struct mappings){ .items = calloc(lines ? lines : 1, sizeof(*mappings->items)) };
	if (!mappings->items)
		return -ENOMEM;
	while (lines-- && (line = strsep(&rest, "\n"))) {
		int error = mapping__parse(line, &mappings->items[mappings->count]);

		if (error) {
			mappings__free(mappings);
			return error;
		}
		mappings->count++;
	}
	return 0;
}

/* A leader that has ended has no memory any more, but the threads that it left behind do. */
static int mappings__text_of_threads(pid_t pid, char **text)
{
	char path[PROC_PATH];
	pid_t *threads;
	size_t count;
	int error;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	error = proc__numbers(path, &threads, &count);
	if (error)
		return error;
	for (size_t i = 0; i < count && !**text; i++) {
		char *other;

		if (threads[i] == pid || proc__read(threads[i], "maps", &other))
			continue;
		free(*text);
		*text = other;
	}
	free(threads);
	return 0;
}

int process__mappings(pid_t pid, struct mappings *mappings)
{
	char *text = NULL;
	int error = proc__read(pid, "maps", &text);

	*mappings = (struct mappings){ 0 };
	if (!error && !*text)
		error = mappings__text_of_threads(pid, &text);
	if (!error)
		error = mappings__parse(text, mappings);
	free(text);
	return error;
}

void mappings__free(struct mappings *mappings)
{
	if (!mappings)
		return;
	for (size_t i = 0; i < mappings->count; i++)
		free(mappings->items[i].path);
	free(mappings->items);
	*mappings = (struct mappings){ 0 };
}

const struct mapping *mappings__find(const struct mappings *mappings, uint64_t address)
{
	size_t low = 0, high = mappings->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct mapping *mapping = &mappings->items[middle];

		if (address < mapping->start)
			high = middle;
		else if (address >= mapping->end)
			low = middle + 1;
		else
			return mapping;
	}
	return NULL;
}

/* What stands behind "key:" at the start of a line of `text`, or NULL. */
static const char *status__field(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text) {
		if (!strncmp(text, key, length) && text[length] == ':')
			return text + length + 1 + strspn(text + length + 1, " \t");
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

static long status__number(const char *text, const char *key)
{
	const char *field = status__field(text, key);

	return field ? strtol(field, NULL, 10) : 0;
}

static bool status__ended(const char *text)
{
	const char *state = status__field(text, "State");

	return state && (*state == 'Z' || *state == 'X');
}

static pid_t status__inner_pid(const char *text)
{
	const char *field = status__field(text, "NSpid");
	long pid = 0;
	char *end;

	while (field && *field && *field != '\n') {
		pid = strtol(field, &end, 10);
		if (end == field)
			break;
		field = end + strspn(end, "\t ");
	}
	return pid;
}

/* Fields of /proc/PID/stat; the name in it may hold anything, so they count from its last ')'. */
static int stat__parse(const char *text, unsigned long *flags, uint64_t *start_time)
{
	const char *rest = strrchr(text, ')');

	if (!rest || sscanf(rest + 1,
			    " %*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d"
			    " %*d %*d %*d %*d %" SCNu64,
			    flags, start_time) != 2)
		return -EINVAL;
	return 0;
}

/* What takes all threads to know: filters are theirs, and a process lives as long as one does. */
static int status__of_threads(pid_t pid, struct process_status *status)
{
	char path[PROC_PATH];
	pid_t *threads;
	size_t count;
	bool alive = false, seen = false;
	int error;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	error = proc__numbers(path, &threads, &count);
	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		unsigned int seccomp;
		char *text;

		if (proc__read(threads[i], "status", &text))
			continue;
		seccomp = status__number(text, "Seccomp");
		if (seccomp > status->seccomp)
			status->seccomp = seccomp;
		alive |= !status__ended(text);
		if (threads[i] == pid)
			status->leader_ended = status__ended(text);
		seen = true;
		free(text);
	}
	free(threads);
	if (!seen)
		return -ESRCH;
	status->leader_ended &= alive;
	if (!alive && status->state == PROCESS_ALIVE)
		status->state = PROCESS_ZOMBIE;
	return 0;
}

int process__status(pid_t pid, struct process_status *status)
{
	char *stat = NULL, *text = NULL;
	unsigned long flags;
	int error;

	*status = (struct process_status){ 0 };
	error = proc__read(pid, "stat", &stat);
	if (!error)
		error = stat__parse(stat, &flags, &status->start_time);
	if (!error)
		error = proc__read(pid, "status", &text);
	if (!error) {
		status->state = flags & PF_KTHREAD ? PROCESS_KERNEL_THREAD : PROCESS_ALIVE;
		status->tgid = status__number(text, "Tgid");
		status->inner_pid = status__inner_pid(text);
		error = status__of_threads(pid, status);
	}
	free(stat);
	free(text);
	return error;
}
