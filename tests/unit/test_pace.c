/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "user/pace.h"

enum { INTERVAL = 100, BURST = 3 };

static unsigned int times(struct pace *pace, uint64_t now)
{
	unsigned int count = 0;

	while (count < 100 && pace__allows(pace, now, INTERVAL, BURST))
		count++;
	return count;
}

static void some_at_once_then_one_an_interval(void **state)
{
	struct pace pace = { 0 };

	(void)state;
	assert_int_equal(times(&pace, 1000), BURST);
	assert_int_equal(times(&pace, 1099), 0);
	assert_int_equal(times(&pace, 1100), 1);
	assert_int_equal(times(&pace, 1350), 2);
	assert_int_equal(times(&pace, 1399), 0);
	assert_int_equal(times(&pace, 1400), 1);
}

static void what_was_not_done_is_not_made_up_for(void **state)
{
	struct pace pace = { 0 };

	(void)state;
	assert_int_equal(times(&pace, 1000), BURST);
	assert_int_equal(times(&pace, 1000000), BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_at_once_then_one_an_interval),
		cmocka_unit_test(what_was_not_done_is_not_made_up_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
