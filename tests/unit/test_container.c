/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "user/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void expect(const char *cgroups, const char *wanted)
{
	char id[CONTAINER_SIZE];

	assert_int_equal(container__of_cgroups(cgroups, id), *wanted != '\0');
	assert_string_equal(id, wanted);
}

static void runtimes_are_known(void **state)
{
	(void)state;
	expect("0::/system.slice/docker-" ID ".scope\n", ID);
	expect("12:memory:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/\n", ID);
	expect("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/"
	       "cri-containerd-" ID ".scope\n",
	       ID);
	expect("0::/kubepods/besteffort/pod0f0f/" ID "\n", ID);
	expect("0::/kubepods.slice/crio-" ID ".scope/container\n", ID);
	expect("0::/user.slice/user-0.slice/user@0.service/user.slice/libpod-" ID
	       ".scope/container\n",
	       ID);
	expect("0::/machine.slice/libpod-" ID ".scope\n", ID);
	expect("0::/lxc.payload.web/system.slice/nginx.service\n", "web");
	expect("5:cpu:/lxc/web-1\n", "web-1");
	expect("0::/machine.slice/machine-debian.scope/payload\n", "debian");
	expect("0::/machine.slice/systemd-nspawn@debian.service/payload\n", "debian");
}

static void the_innermost_is_meant(void **state)
{
	(void)state;
	expect("0::/docker/" ID "/docker/" OTHER "\n", OTHER);
	expect("0::/lxc.payload.host/system.slice/docker-" ID ".scope\n", ID);
}

static void what_is_none_is_none(void **state)
{
	(void)state;
	expect("", "");
	expect("0::/\n", "");
	expect("0::/system.slice/ssh.service\n", "");
	expect("0::/user.slice/user-0.slice/session-3.scope\n", "");
	expect("0::/machine.slice/libpod-conmon-" ID ".scope\n", "");
	expect("4:memory:/process_api/3c76a10bc29143a0298f69ec78057d01\n", "");
}

static void hostile_names_are_none(void **state)
{
	(void)state;
	expect("no slash", "");
	expect("0::////\n", "");
	expect("0::/docker/" ID "0\n", "");
	expect("0::/lxc/\033]0;x\n", "");
	expect("0::/lxc/a b\n", "");
	expect("0::/lxc/" ID "x\n", "");
	expect("0::/machine.slice/machine-.scope\n", "");
	expect("0::/machine-x.scope\n", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runtimes_are_known),
		cmocka_unit_test(the_innermost_is_meant),
		cmocka_unit_test(what_is_none_is_none),
		cmocka_unit_test(hostile_names_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
