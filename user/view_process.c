/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_process.h"

#include <stdio.h>

const char *view_process__comm(const struct process *process)
{
	return process->comm && *process->comm ? process->comm : "[unknown]";
}

const char *view_process__name(const struct process *process, char text[PROCESS_TEXT])
{
	if (!process->pid)
		snprintf(text, PROCESS_TEXT, "%s", view_process__comm(process));
	else
		snprintf(text, PROCESS_TEXT, "%s[%d]", process->comm ? process->comm : "",
			 (int)process->pid);
	return text;
}
