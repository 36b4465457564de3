/* scene_points.c - all points at which a kill is tried. */
#include "dataplane/shm/slots.h"
#include "dataplane/worker/peer.h"
#include "tests/sim/scene.h"

static const struct world_point others[] = {
	{WORLD_DATAPLANE, EFFECT_SLOT_TAKEN, 0},
	{WORLD_DATAPLANE, EFFECT_REPLY, 0},
	{WORLD_DATAPLANE, EFFECT_FRAMES, 0},
	{WORLD_CONTROLPLANE, EFFECT_SLOT_TAKEN, 0},
	{WORLD_CONTROLPLANE, EFFECT_BATCH, 0},
	{WORLD_CONTROLPLANE, EFFECT_COMPLETION, 0},
	{WORLD_MACHINE, EFFECT_SYNC, 0},
};

enum {
	OTHERS = ARRAY_SIZE(others),
	COMMANDS_END = OTHERS + SHM_COMMANDS - 1, /* slots are numbered from 1 */
	EVENTS_END = COMMANDS_END + SHM_EVENTS - 1,
	POINTS = EVENTS_END + PEER_KINDS - 1,
};

bool scene_point(uint32_t number, struct world_point *out)
{
	if (number < OTHERS)
		*out = others[number];
	else if (number < COMMANDS_END)
		*out = (struct world_point){WORLD_DATAPLANE, EFFECT_SLOT, number - OTHERS + 1};
	else if (number < EVENTS_END)
		*out = (struct world_point){
			WORLD_CONTROLPLANE, EFFECT_SLOT, number - COMMANDS_END + 1};
	else if (number < POINTS)
		*out = (struct world_point){
			WORLD_DATAPLANE, EFFECT_PEER_SLOT, number - EVENTS_END + 1};
	return number < POINTS;
}

struct world_point scene_draw_point(struct rng *r)
{
	struct world_point p = {0};

	if (!scene_point(rng_below(r, POINTS), &p))
		return p;
	return p;
}
