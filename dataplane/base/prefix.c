/* prefix.c - see prefix.h. */
#include "dataplane/base/prefix.h"

#include <arpa/inet.h>

static uint32_t mask_of(uint32_t bits)
{
	return bits == 0 ? 0 : bits >= 32 ? UINT32_MAX : ~(UINT32_MAX >> bits);
}

int prefixes_match(const struct prefixes *p, uint32_t address)
{
	int longest = PREFIX_NONE;

	for (uint32_t i = 0; i < p->count && i < PREFIXES_MAX; i++) {
		const uint32_t bits = p->list[i].bits < 32 ? p->list[i].bits : 32;
		if ((ntohl(p->list[i].address ^ address) & mask_of(bits)) == 0 &&
			(int)bits > longest)
			longest = (int)bits;
	}
	return longest;
}

bool prefixes_allow(const struct prefixes *allow, const struct prefixes *deny, uint32_t address)
{
	const int allowed = prefixes_match(allow, address);
	const int denied = prefixes_match(deny, address);

	if (allowed == PREFIX_NONE && denied == PREFIX_NONE)
		return allow->count == 0;
	return allowed > denied;
}
