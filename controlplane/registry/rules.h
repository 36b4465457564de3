/* rules.h - rules of registry.c that prepare.c needs, too. */
#pragma once
#include "controlplane/registry/claims.h"

void registry_revoke(struct registry *r, uint32_t index, enum err why);
void registry_refuse(struct registry *r, uint32_t index, enum shm_verdict verdict);
void registry_turn_out_claim(struct registry *r, uint32_t index, enum err why);
void registry_pass_on(struct registry *r, uint32_t session);
void registry_let_go(struct registry *r, uint32_t index);
