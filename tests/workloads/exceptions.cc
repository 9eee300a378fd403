// SPDX-License-Identifier: GPL-2.0-or-later
// Exceptions cross frames that allocate; destructors free, and allocate, while they unwind.
#include <memory>
#include <stdexcept>
#include <vector>

#include "truth.h"

TALLY(kept);
NOINLINE static struct block kept(size_t size)
{
	return block__new(&tally_kept, malloc(size), size);
}

struct Holder {
	std::unique_ptr<char[]> bytes{ new char[100] };
	~Holder()
	{
		kept(10);
	}
};

NOINLINE static void sink(int depth)
{
	Holder holder;
	std::vector<int> numbers(50, depth);

	if (depth == 0)
		throw std::runtime_error(
			"a message that is too long for the small buffer of a string");
	sink(depth - 1);
}

int main()
{
	int caught = 0;

	truth__ready();
	for (int i = 0; i < 50; i++) {
		try {
			sink(i % 10);
		} catch (const std::exception &) {
			caught++;
		}
	}
	if (caught != 50)
		return 1;
	return truth__end();
}
