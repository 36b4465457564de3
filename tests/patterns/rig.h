/* rig.h - patterns from a matcher's insertion to Hyperscan's answer, without a box around: the
 * control plane's machine, the real compiler in its process, a region, the service's work, and
 * workers' matchers with their letters. */
#pragma once
#include "controlplane/compile/compile.h"
#include "controlplane/compile/process.h"
#include "dataplane/worker/service.h"

enum { RIG_WORKERS = 2 };

struct rig_conf {
	uint32_t patterns_max;
	uint32_t cpu_s;
	uint64_t memory_bytes, database_bytes;
};

struct rig {
	uint8_t *region;
	int program; /* of the compiler */
	struct compiler *compiler;
	struct compile *compile;
	struct service *service;
	struct letters letters[RIG_WORKERS];
	struct match *match[RIG_WORKERS];
	struct counters control, worker[RIG_WORKERS];
	struct rig_conf conf;
	uint32_t moved; /* steps in which a worker took something in */
};

uint64_t rig_clock_us(void);
/* The compiler is $COMPILER. False: there is none. */
bool rig_start(struct rig *r, const struct rig_conf *conf);
void rig_stop(struct rig *r);
void rig_restart_control(struct rig *r); /* as after a kill */
enum err rig_insert(struct rig *r, struct span filter);
void rig_remove(struct rig *r, struct span filter);
bool rig_tell(struct rig *r, uint32_t worker); /* its news, to the control plane */
/* A step of everybody. True: somebody did something. */
bool rig_step(struct rig *r);
/* Steps until nothing is left to do; bounded. */
bool rig_settle(struct rig *r);
/* Filters of several irregular kinds; and topics that meet some of them. */
struct span rig_filter(uint32_t i, uint8_t *text, size_t size);
struct span rig_topic(uint32_t i, uint8_t *text, size_t size);
