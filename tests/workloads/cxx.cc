// SPDX-License-Identifier: GPL-2.0-or-later
// cxx [calm|child]: operator new and delete in all their forms, and what fails among them. mimalloc
// built as C aborts where others throw: calm leaves that out. With child, a child has it thrown.
#include <sys/wait.h>

#include <new>

#include "truth.h"

static volatile size_t too_much = PTRDIFF_MAX;

TALLY(by_new);
NOINLINE static struct block by_new(size_t size)
{
	return block__new(&tally_by_new, operator new(size), size);
}

TALLY(by_new_array);
NOINLINE static struct block by_new_array(size_t size)
{
	return block__new(&tally_by_new_array, operator new[](size), size);
}

TALLY(by_new_nothrow);
NOINLINE static struct block by_new_nothrow(size_t size)
{
	return block__new(&tally_by_new_nothrow, operator new(size, std::nothrow), size);
}

TALLY(by_new_array_nothrow);
NOINLINE static struct block by_new_array_nothrow(size_t size)
{
	return block__new(&tally_by_new_array_nothrow, operator new[](size, std::nothrow), size);
}

TALLY(by_new_aligned);
NOINLINE static struct block by_new_aligned(size_t size)
{
	return block__new(&tally_by_new_aligned, operator new(size, std::align_val_t(64)), size);
}

static struct block gone(struct block block)
{
	tally__give(block.tally, block.size);
	return block;
}

NOINLINE static void delete_all_forms(void)
{
	operator delete(gone(by_new(11)).address);
	operator delete(gone(by_new(12)).address, size_t(12));
	operator delete[](gone(by_new_array(13)).address);
	operator delete[](gone(by_new_array(14)).address, size_t(14));
	operator delete(gone(by_new_nothrow(15)).address, std::nothrow);
	operator delete[](gone(by_new_array_nothrow(16)).address, std::nothrow);
	operator delete(gone(by_new_aligned(128)).address, std::align_val_t(64));
	operator delete(nullptr);
}

NOINLINE static int throw_some(int times)
{
	int caught = 0;

	for (int i = 0; i < times; i++) {
		try {
			by_new(too_much);
		} catch (const std::bad_alloc &) {
			caught++;
			truth__add(&truth_failed, 1);
		}
	}
	return caught;
}

static bool child_catches(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(throw_some(20));
	return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 20;
}

int main(int argc, char **argv)
{
	bool calm = argc > 1, child = calm && !strcmp(argv[1], "child");

	truth__ready();
	if (child && !child_catches())
		return 1;
	for (int i = 0; i < 10; i++) {
		by_new(100 + i);
		by_new_array(200 + i);
		by_new_nothrow(300 + i);
		by_new_array_nothrow(400 + i);
		by_new_aligned(512);
	}
	delete_all_forms();
	if (!calm && throw_some(20) != 20)
		return 1;
	by_new_nothrow(too_much);
	by_new(1);
	return truth__end();
}
