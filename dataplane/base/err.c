/* err.c - the table behind err.h. */
#include "dataplane/base/err.h"

#include "dataplane/base/assert.h"

struct row {
	const char *name;
	const char *text;
	enum err_fault fault;
};

static const struct row rows[ERR_COUNT] = {
	[ERR_NONE] = {"NONE", "no error", ERR_FAULT_nobody},
#define ERR(name, fault, text) [ERR_##name] = {#name, text, ERR_FAULT_##fault},
#include "dataplane/base/err.def"
#undef ERR
};

const char *err_name(enum err e)
{
	ASSERT(e < ERR_COUNT);
	return rows[e].name;
}

const char *err_text(enum err e)
{
	ASSERT(e < ERR_COUNT);
	return rows[e].text;
}

enum err_fault err_fault(enum err e)
{
	ASSERT(e < ERR_COUNT);
	return rows[e].fault;
}
