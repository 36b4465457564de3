/* command.c - slots to commands. See command.h. */
#include "controlplane/link/command.h"

enum {
	FLAGS_KNOWN = SHM_CONNECT_CLEAN | SHM_CONNECT_USERNAME | SHM_CONNECT_PASSWORD |
		      SHM_CONNECT_AGAIN | SHM_CONNECT_LIVE
};

static bool has_nul(struct span s)
{
	return s.size != 0 && memchr(s.at, 0, s.size) != NULL;
}

/* A field is there only if its flag says so, and only LIVE comes with an epoch. */
static bool flags_agree(const struct shm_connect *c)
{
	if ((c->flags & ~FLAGS_KNOWN) != 0)
		return false;
	if ((c->flags & SHM_CONNECT_USERNAME) == 0 && c->username_size != 0)
		return false;
	if ((c->flags & SHM_CONNECT_PASSWORD) == 0 && c->password_size != 0)
		return false;
	if ((c->flags & SHM_CONNECT_LIVE) != 0)
		return (c->flags & SHM_CONNECT_AGAIN) != 0;
	return c->epoch == 0;
}

static enum err decode_connect(
	const struct shm_connect *c, const uint8_t *arena, uint32_t worker, struct command *out)
{
	const uint32_t size = (uint32_t)c->client_id_size + c->username_size + c->password_size;
	struct span text = {out->text, size};

	if (!flags_agree(c) || c->text.size != size)
		return ERR_SLOT_BAD;
	if (!shm_arena_copy(arena, c->text, out->text, sizeof(out->text)))
		return ERR_SLOT_BAD;
	out->connect = (struct registry_connect){.worker = worker,
		.connection = c->connection,
		.epoch = c->epoch,
		.session_expiry_s = c->session_expiry_s,
		.address = c->address,
		.port = c->port,
		.keepalive_s = c->keepalive_s,
		.flags = c->flags,
		.protocol = c->protocol,
		.version = c->version};
	out->connect.client_id = (struct span){text.at, c->client_id_size};
	text = span_skip(text, c->client_id_size);
	out->connect.username = (struct span){text.at, c->username_size};
	text = span_skip(text, c->username_size);
	out->connect.password = text;
	/* MQTT 5.0 1.5.4: no U+0000 in a string; a password is bytes. */
	if (has_nul(out->connect.client_id) || has_nul(out->connect.username))
		return ERR_SLOT_BAD;
	return ERR_NONE;
}

enum err command_decode(
	const struct shm_slot *slot, const uint8_t *arena, uint32_t worker, struct command *out)
{
	out->type = (enum shm_command)slot->type;
	switch (slot->type) {
	case SHM_COMMAND_HELLO:
		return ERR_NONE;
	case SHM_COMMAND_CONNECT:
		return decode_connect(&slot->connect, arena, worker, out);
	case SHM_COMMAND_CLOSED:
		out->closed = slot->closed.connection;
		return ERR_NONE;
	default:
		return ERR_SLOT_BAD;
	}
}
