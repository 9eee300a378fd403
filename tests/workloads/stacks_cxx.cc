// SPDX-License-Identifier: GPL-2.0-or-later
// Prints the true stack of allocations in frames that only C++ has.
#include <algorithm>
#include <functional>
#include <stdexcept>
#include <vector>

#include "backtrace.h"

static volatile int number = 5;

struct Allocates {
	const char *name;
	explicit Allocates(const char *n) : name(n) {}
	NOINLINE ~Allocates()
	{
		ALLOCATE(name);
	}
};

NOINLINE static int throws(int depth)
{
	Allocates guard(depth == 0 ? "unwinding_leaf" : "unwinding");

	if (depth == 0)
		throw std::runtime_error("down");
	return throws(depth - 1) + number;
}

NOINLINE static int catches()
{
	try {
		return throws(3);
	} catch (const std::exception &) {
		ALLOCATE("catching");
	}
	return number;
}

struct Base {
	virtual int run(int n) = 0;
	virtual ~Base() {}
};

struct Other {
	virtual int other()
	{
		return number;
	}
	virtual ~Other() {}
};

struct Derived : Other, Base {
	int run(int n) override
	{
		ALLOCATE("virtual");
		return n + number;
	}
};

NOINLINE static int through(Base &base)
{
	return base.run(number) + 1;
}

int main()
{
	std::vector<int> numbers{ 3, 1, 2 };
	std::function<int(int)> function = [&](int n) {
		ALLOCATE("lambda");
		return n + (int)numbers.size();
	};
	Derived derived;
	bool first = true;

	backtraces__ready();
	catches();
	through(derived);
	function(number);
	std::sort(numbers.begin(), numbers.end(), [&](int a, int b) {
		if (first)
			ALLOCATE("sort");
		first = false;
		return a < b;
	});
	return backtraces__end();
}
