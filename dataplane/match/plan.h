/* plan.h - which engine is the cheapest for a filter? The first planner: it decides once, when a
 * filter is inserted.
 *
 * A literal filter costs nothing beside the lookup that every topic makes. A
 * wildcard filter whose shape is in use costs nothing either. A new shape
 * costs every topic of its depth a lookup; a scan by Hyperscan costs as much as
 * PLAN_SHAPES of them, whatever the number of filters in it. So as many
 * shapes are let in, and what has a rarer one becomes a pattern; but only while
 * no more than PLAN_WAITING wait for being compiled, for each of those costs
 * every topic a comparison. Where there is no room for patterns, shapes are taken again.
 *
 * The costs were measured by tests/bench/patterns_bench (docs/matching.md).
 * Not here: moving filters that are in an engine already. */
#pragma once

enum {
	PLAN_SHAPE_NS = 12,      /* a lookup by a shape */
	PLAN_SCAN_NS = 400,      /* a scan of a tier of a few hundred */
	PLAN_INTERPRET_NS = 100, /* a comparison with one pattern */
	PLAN_WAIT_NS = 6400,     /* what a topic may cost more until patterns are compiled */
	PLAN_SHAPES = PLAN_SCAN_NS / PLAN_SHAPE_NS,
	PLAN_WAITING = PLAN_WAIT_NS / PLAN_INTERPRET_NS,
};
