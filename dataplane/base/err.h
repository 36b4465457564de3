/* err.h - every way in which something can go wrong, as rows of one table.
 *
 * A row is NAME, whose fault, and a text for people (err.def). Functions
 * return `enum err`; ERR_NONE is 0; results leave by the last parameter. Each
 * row is also a counter (counters.h), so what is dropped or refused can be
 * seen by its reason. */
#pragma once
#include "dataplane/base/attr.h"

enum err {
	ERR_NONE = 0,
#define ERR(name, fault, text) ERR_##name,
#include "dataplane/base/err.def"
#undef ERR
	ERR_COUNT
};

enum err_fault { ERR_FAULT_nobody, ERR_FAULT_peer, ERR_FAULT_us };

const char *err_name(enum err e); /* "TRUNCATED"; "NONE" for ERR_NONE */
const char *err_text(enum err e); /* "a field runs past the end of its frame" */
enum err_fault err_fault(enum err e);
