/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flamegraph_page.h"

/* FLAMEGRAPH_PAGE is the file's name; it is empty where there was nothing to bundle. */
__asm__(".pushsection .rodata\n"
	"flamegraph_page_first:\n"
	".incbin \"" FLAMEGRAPH_PAGE "\"\n"
	"flamegraph_page_last:\n"
	".byte 0\n"
	".popsection\n");
extern const char flamegraph_page_first[], flamegraph_page_last[];

const char flamegraph_page__end[] = "</script>\n</html>\n";

const char *flamegraph_page__begin(size_t *size)
{
	*size = (size_t)(flamegraph_page_last - flamegraph_page_first);
	return *size ? flamegraph_page_first : NULL;
}
