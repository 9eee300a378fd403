/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_UNWIND_INVARIANTS_H
#define MEMWATCH_UNWIND_INVARIANTS_H
/* What must hold for every table, also that of a hostile file. For the unit test and the fuzzer. */
#include "user/unwind_row.h"
#include "user/unwind_table.h"

static inline const char *unwind_page__broken(const struct unwind_table *table,
					      const struct unwind_page *page)
{
	const struct unwind_row *rows = &table->rows[page->first];

	if (rows[0].low)
		return "the page's first row is not at its start";
	for (uint32_t i = 0; i < page->count; i++) {
		if (rows[i].cfa_rule > UNWIND_RSP_FAR || (rows[i].rbp_rule & 15) > UNWIND_RBP_LOST)
			return "a rule that nobody knows";
		if (i && rows[i].low <= rows[i - 1].low)
			return "rows are not ascending";
		if (i && unwind_row__same(&rows[i], &rows[i - 1]))
			return "a row repeats the one before";
	}
	return NULL;
}

/* NULL, or what is wrong. */
static inline const char *unwind_table__broken(const struct unwind_table *table)
{
	size_t total = 0, unsupported = 0;
	const char *broken = NULL;

	for (size_t i = 0; i < table->page_count && !broken; i++) {
		const struct unwind_page *page = &table->pages[i];

		if (page->first != total || !page->count || page->count > table->row_count - total)
			return "pages do not share out the rows";
		if (i && page->page <= table->pages[i - 1].page)
			return "pages are not ascending";
		total += page->count;
		broken = unwind_page__broken(table, page);
	}
	for (size_t i = 0; i < table->row_count; i++)
		unsupported += table->rows[i].cfa_rule == UNWIND_UNSUPPORTED;
	if (!broken && (total != table->row_count || unsupported != table->unsupported))
		return "the counts are not the rows'";
	return broken;
}

#endif
