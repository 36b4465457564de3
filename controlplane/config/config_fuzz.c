/* config_fuzz.c - the configuration parser over any bytes; what it accepts is shown and read again.
 */
#include "controlplane/config/config.h"
#include "dataplane/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_errors errors;
	static char text[16384];
	struct shm_config c, again;

	if (config_parse((struct span){data, size}, "fuzz", &c, &errors) != ERR_NONE) {
		ASSERT(errors.count > 0);
		ASSERT(strncmp(errors.text[0], "fuzz:", 5) == 0);
		return 0;
	}
	ASSERT(errors.count == 0);
	const size_t shown = config_show(&c, CONFIG_YAML, text, sizeof(text));
	ASSERT(shown < sizeof(text));
	const enum err e = config_parse(span_of(text, shown), "again", &again, &errors);
	ASSERT(e == ERR_NONE);
	ASSERT(memcmp(&c, &again, sizeof(c)) == 0);
	return 0;
}
