/* journal_fuzz.c - any bytes as a journal file: a verdict, within bounds, and the same again. */
#include "dataplane/base/assert.h"
#include "storage/rocks/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span file = {data, size};
	size_t at, again;
	const enum journal_verdict verdict = journal_check(file, &at);

	ASSERT(verdict != JOURNAL_WHOLE || at <= size + 6);
	ASSERT(verdict == JOURNAL_WHOLE || at < size);
	ASSERT(journal_check(file, &again) == verdict && again == at);
	/* What is left when a torn end is cut off is whole. */
	if (verdict == JOURNAL_TORN)
		ASSERT(journal_check(span_of(data, at), &again) == JOURNAL_WHOLE);
	return 0;
}
