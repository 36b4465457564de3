/* stream_lwip.c - lwIP as an end of stream_play.c's wire: Debian's library, driven in virtual time.
 *
 * It is built for threads and sockets, but its raw interface needs neither: its clock (sys_now),
 * its memory (mem_malloc) and its check for a lock are taken from this program, which the link
 * exports to it. It is loaded for each play and unloaded after it, so that its ISNs begin anew, and
 * never linked, since many of its functions have the names of ours. */
#include "dataplane/base/assert.h"
#include "tests/sim/stream_end.h"
#include "tests/unit/eal.h"

#include <dlfcn.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <stdlib.h>
#include <string.h>

enum { BURST = 32, TX_BUFFERS = 64, FRAME_MAX = 2048, CONNS = 2 * STREAM_CONNECTIONS };

/* What is called, by name. */
#define LWIP_CALLS(X)                                                                              \
	X(lwip_init)                                                                               \
	X(netif_add)                                                                               \
	X(netif_set_default)                                                                       \
	X(netif_set_up)                                                                            \
	X(ethernet_input)                                                                          \
	X(etharp_output)                                                                           \
	X(sys_check_timeouts)                                                                      \
	X(sys_timeouts_sleeptime)                                                                  \
	X(pbuf_alloc)                                                                              \
	X(pbuf_take)                                                                               \
	X(pbuf_free)                                                                               \
	X(pbuf_cat)                                                                                \
	X(pbuf_copy_partial)                                                                       \
	X(pbuf_free_header)                                                                        \
	X(tcp_new)                                                                                 \
	X(tcp_arg)                                                                                 \
	X(tcp_accept)                                                                              \
	X(tcp_recv)                                                                                \
	X(tcp_err)                                                                                 \
	X(tcp_bind)                                                                                \
	X(tcp_listen_with_backlog)                                                                 \
	X(tcp_connect)                                                                             \
	X(tcp_write)                                                                               \
	X(tcp_output)                                                                              \
	X(tcp_recved)                                                                              \
	X(tcp_shutdown)                                                                            \
	X(tcp_abort)

struct lwip_calls {
#define FIELD(name) __typeof__(&name) name;
	LWIP_CALLS(FIELD)
#undef FIELD
	struct tcp_pcb **active, **waiting;
};

struct lwip_conn {
	struct tcp_pcb *pcb; /* NULL: lwIP has done with it */
	struct pbuf *unread;
	uint64_t user;
	bool used, fin_in, finishes, over, in_order, told, dirty;
};

/* A piece of lwIP's memory. */
struct block {
	struct block *next, *prev;
	size_t size;
};

struct lwip {
	struct end end; /* first: the end is lwIP */
	struct end_conf conf;
	void *library;
	struct lwip_calls call;
	struct netif netif;
	struct rte_mempool *tx;
	struct lwip_conn conns[CONNS];
	struct end_event events[2 * CONNS];
	unsigned event_count, event_next;
	uint64_t blocks_at_start;
};

static uint64_t clock_us;
static struct block blocks = {&blocks, &blocks, 0};
static uint64_t block_count;

/* lwIP finds these here, not in itself. */
u32_t sys_now(void)
{
	return (u32_t)(clock_us / 1000);
}

void sys_check_core_locking(void) {}

void *mem_malloc(mem_size_t size)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	*b = (struct block){blocks.next, &blocks, size};
	b->next->prev = blocks.next = b;
	block_count++;
	return b + 1;
}

void *mem_calloc(mem_size_t count, mem_size_t size)
{
	void *at = mem_malloc(count * size);

	if (at != NULL)
		memset(at, 0, count * size);
	return at;
}

void mem_free(void *mem)
{
	if (mem == NULL)
		return;
	struct block *b = (struct block *)mem - 1;
	b->next->prev = b->prev;
	b->prev->next = b->next;
	block_count--;
	free(b);
}

void *mem_trim(void *mem, mem_size_t size)
{
	(void)size;
	return mem;
}

static struct lwip *of(struct end *e)
{
	return (struct lwip *)e;
}

static void load(struct lwip *l)
{
	l->library = dlopen("liblwip.so.0", RTLD_NOW | RTLD_LOCAL);
	if (l->library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		abort();
	}
#define FIND(name) l->call.name = (__typeof__(&name))dlsym(l->library, #name);
	LWIP_CALLS(FIND)
#undef FIND
	l->call.active = dlsym(l->library, "tcp_active_pcbs");
	l->call.waiting = dlsym(l->library, "tcp_tw_pcbs");
}

static void tell(struct lwip *l, enum end_event_kind kind, const struct lwip_conn *c, uint16_t port)
{
	ASSERT(l->event_count < 2 * CONNS);
	l->events[l->event_count++] = (struct end_event){.kind = kind,
		.conn = (uint64_t)(c - l->conns),
		.peer_port = port,
		.in_order = c->in_order};
}

/* CLOSED, unless bytes wait to be read. */
static void tell_end(struct lwip *l, struct lwip_conn *c)
{
	if (!c->over || c->told || (c->in_order && c->unread != NULL))
		return;
	c->told = true;
	if (c->unread != NULL)
		l->call.pbuf_free(c->unread);
	c->unread = NULL;
	tell(l, END_CLOSED, c, 0);
}

static struct lwip *the_lwip;

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct lwip_conn *c = arg;

	(void)pcb;
	(void)err;
	if (p == NULL)
		c->fin_in = true;
	else if (c->unread == NULL)
		c->unread = p;
	else
		the_lwip->call.pbuf_cat(c->unread, p);
	return ERR_OK;
}

/* The pcb is gone; ERR_CLSD: both FINs are through. */
static void on_err(void *arg, err_t err)
{
	struct lwip_conn *c = arg;

	if (c == NULL)
		return;
	c->pcb = NULL;
	c->over = true;
	c->in_order = err == ERR_CLSD && c->fin_in;
	tell_end(the_lwip, c);
}

static struct lwip_conn *conn_new(struct lwip *l, struct tcp_pcb *pcb, uint64_t user)
{
	for (unsigned i = 0; i < CONNS; i++) {
		struct lwip_conn *c = &l->conns[i];
		if (c->used)
			continue;
		*c = (struct lwip_conn){.pcb = pcb, .user = user, .used = true};
		l->call.tcp_arg(pcb, c);
		l->call.tcp_recv(pcb, on_recv);
		l->call.tcp_err(pcb, on_err);
		/* It counts probes while data is out, too, and backs off for six minutes after a
		 * SYN that was lost often: fewer would end what is alive. */
		pcb->so_options |= SOF_KEEPALIVE;
		pcb->keep_idle = pcb->keep_intvl = 60000;
		pcb->keep_cnt = 9;
		return c;
	}
	ASSERT(false);
	return NULL;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct lwip *l = arg;

	if (err != ERR_OK || pcb == NULL)
		return ERR_VAL;
	tell(l, END_ACCEPTED, conn_new(l, pcb, 0), pcb->remote_port);
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb;
	(void)err;
	tell(the_lwip, END_CONNECTED, arg, 0);
	return ERR_OK;
}

/* A frame of lwIP's onto the wire; what finds no room is lost. */
static err_t on_output(struct netif *netif, struct pbuf *p)
{
	struct lwip *l = netif->state;
	struct rte_mbuf *m = rte_pktmbuf_alloc(l->tx);

	if (m == NULL)
		return ERR_MEM;
	l->call.pbuf_copy_partial(p, rte_pktmbuf_append(m, p->tot_len), p->tot_len, 0);
	if (driver_tx(l->end.driver, 0, &m, 1) == 1)
		return ERR_OK;
	rte_pktmbuf_free(m);
	return ERR_BUF;
}

static void take_frame(struct lwip *l, struct rte_mbuf *m)
{
	uint8_t bytes[FRAME_MAX];
	const void *at = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);
	struct pbuf *p = l->call.pbuf_alloc(PBUF_RAW, (u16_t)m->pkt_len, PBUF_RAM);

	if (p != NULL && at != NULL) {
		l->call.pbuf_take(p, at, (u16_t)m->pkt_len);
		l->call.ethernet_input(p, &l->netif);
	}
	rte_pktmbuf_free(m);
}

/* A pcb in TIME-WAIT is lwIP's alone; for the application it is over. */
static void notice_ends(struct lwip *l)
{
	for (unsigned i = 0; i < CONNS; i++) {
		struct lwip_conn *c = &l->conns[i];
		if (!c->used)
			continue;
		if (c->pcb != NULL && c->pcb->state == TIME_WAIT) {
			l->call.tcp_arg(c->pcb, NULL);
			l->call.tcp_recv(c->pcb, NULL);
			l->call.tcp_err(c->pcb, NULL);
			c->pcb = NULL;
			c->over = c->in_order = true;
		}
		tell_end(l, c);
	}
}

static void lwip_begin(struct end *e, uint64_t now_us)
{
	struct lwip *l = of(e);
	struct rte_mbuf *frames[BURST];

	clock_us = now_us;
	const uint16_t n = driver_rx(e->driver, 0, frames, BURST);
	for (uint16_t i = 0; i < n; i++)
		take_frame(l, frames[i]);
	l->call.sys_check_timeouts();
	notice_ends(l);
}

static bool lwip_next_event(struct end *e, struct end_event *out)
{
	struct lwip *l = of(e);

	if (l->event_next == l->event_count) {
		l->event_next = l->event_count = 0;
		return false;
	}
	*out = l->events[l->event_next++];
	out->user = l->conns[out->conn].user; /* it may have been set since */
	return true;
}

/* Not behind bytes that wait: where a window cuts the last segment in two, lwIP 2.1.3 leaves the
 * FIN on both parts. */
static void fin(struct lwip *l, struct lwip_conn *c)
{
	if (!c->finishes || c->pcb == NULL || c->pcb->unsent != NULL)
		return;
	c->finishes = false;
	l->call.tcp_shutdown(c->pcb, 0, 1);
}

static void lwip_finish(struct end *e, uint64_t now_us)
{
	struct lwip *l = of(e);

	(void)now_us;
	for (unsigned i = 0; i < CONNS; i++) {
		struct lwip_conn *c = &l->conns[i];
		if (c->dirty && c->pcb != NULL)
			l->call.tcp_output(c->pcb);
		c->dirty = false;
		fin(l, c);
	}
}

static uint64_t lwip_next_us(const struct end *e)
{
	const struct lwip *l = (const struct lwip *)e;

	if (l->event_count > 0)
		return 0;
	const u32_t ms = l->call.sys_timeouts_sleeptime();
	return ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? UINT64_MAX : (clock_us / 1000 + ms) * 1000;
}

static bool lwip_connect(struct end *e, uint16_t port, uint64_t user, uint64_t now_us)
{
	struct lwip *l = of(e);
	const ip_addr_t any = IPADDR4_INIT(0);
	const ip_addr_t peer = IPADDR4_INIT(PP_HTONL(0x0a000002 - l->conf.side));
	struct tcp_pcb *pcb = l->call.tcp_new();

	(void)now_us;
	if (pcb == NULL || l->call.tcp_bind(pcb, &any, port) != ERR_OK)
		return false;
	conn_new(l, pcb, user);
	return l->call.tcp_connect(pcb, &peer, STREAM_PORT, on_connected) == ERR_OK;
}

static void lwip_set_user(struct end *e, uint64_t conn, uint64_t user)
{
	of(e)->conns[conn].user = user;
}

static size_t lwip_send(struct end *e, uint64_t conn, uint32_t at, size_t size)
{
	struct lwip *l = of(e);
	struct lwip_conn *c = &l->conns[conn];

	if (c->pcb == NULL)
		return 0;
	size = RTE_MIN(size, (size_t)tcp_sndbuf(c->pcb));
	if (size == 0)
		return 0;
	const err_t err =
		l->call.tcp_write(c->pcb, l->conf.pattern + at, (u16_t)size, TCP_WRITE_FLAG_COPY);
	c->dirty = true;
	return err == ERR_OK ? size : 0;
}

static size_t lwip_recv(struct end *e, uint64_t conn, uint8_t *to, size_t size)
{
	struct lwip *l = of(e);
	struct lwip_conn *c = &l->conns[conn];

	if (c->unread == NULL)
		return 0;
	const u16_t n = (u16_t)RTE_MIN(size, (size_t)c->unread->len);
	l->call.pbuf_copy_partial(c->unread, to, n, 0);
	c->unread = l->call.pbuf_free_header(c->unread, n);
	if (c->pcb != NULL)
		l->call.tcp_recved(c->pcb, n);
	tell_end(l, c);
	return n;
}

static bool lwip_at_end(struct end *e, uint64_t conn)
{
	const struct lwip_conn *c = &of(e)->conns[conn];

	return c->fin_in && c->unread == NULL;
}

static void lwip_half_close(struct end *e, uint64_t conn)
{
	of(e)->conns[conn].finishes = true;
}

static void lwip_reset(struct end *e, uint64_t conn)
{
	struct lwip *l = of(e);
	struct lwip_conn *c = &l->conns[conn];

	if (c->pcb != NULL)
		l->call.tcp_abort(c->pcb); /* and so to on_err */
	c->in_order = false;
	tell_end(l, c);
}

static void lwip_release(struct end *e, uint64_t conn)
{
	of(e)->conns[conn].used = false;
}

/* Its timers never end: ARP, reassembly and neighbours have theirs. */
static struct end_left lwip_left(const struct end *e)
{
	const struct lwip *l = (const struct lwip *)e;
	struct end_left left = {.buffers = block_count - l->blocks_at_start};

	for (const struct tcp_pcb *pcb = *l->call.active; pcb != NULL; pcb = pcb->next)
		left.connections++;
	for (const struct tcp_pcb *pcb = *l->call.waiting; pcb != NULL; pcb = pcb->next)
		left.connections++;
	return left;
}

static void lwip_close(struct end *e)
{
	struct lwip *l = of(e);

	ASSERT(rte_mempool_in_use_count(l->tx) == 0);
	dlclose(l->library);
	while (blocks.next != &blocks)
		mem_free(blocks.next + 1);
	free(l);
}

static const struct end_ops lwip_ops = {.begin = lwip_begin,
	.next_event = lwip_next_event,
	.finish = lwip_finish,
	.next_us = lwip_next_us,
	.connect = lwip_connect,
	.set_user = lwip_set_user,
	.send = lwip_send,
	.recv = lwip_recv,
	.at_end = lwip_at_end,
	.half_close = lwip_half_close,
	.abort = lwip_reset,
	.release = lwip_release,
	.left = lwip_left,
	.close = lwip_close};

static err_t on_netif_init(struct netif *netif)
{
	const struct lwip *l = netif->state;
	const uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(l->conf.side + 1)};

	memcpy(netif->hwaddr, mac, sizeof(mac));
	netif->hwaddr_len = sizeof(mac);
	netif->mtu = l->conf.mtu;
	netif->flags =
		NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	netif->output = l->call.etharp_output;
	netif->linkoutput = on_output;
	return ERR_OK;
}

static void listen_all(struct lwip *l)
{
	const ip_addr_t any = IPADDR4_INIT(0);
	struct tcp_pcb *pcb = l->call.tcp_new();

	ASSERT(pcb != NULL);
	ASSERT(l->call.tcp_bind(pcb, &any, STREAM_PORT) == ERR_OK);
	pcb = l->call.tcp_listen_with_backlog(pcb, STREAM_CONNECTIONS);
	ASSERT(pcb != NULL);
	l->call.tcp_arg(pcb, l);
	l->call.tcp_accept(pcb, on_accept);
}

struct end *end_lwip(const struct end_conf *conf)
{
	static struct rte_mempool *tx;
	const ip4_addr_t address = {PP_HTONL(0x0a000001 + conf->side)};
	const ip4_addr_t netmask = {PP_HTONL(0xffffff00)};
	const ip4_addr_t gateway = {0};
	struct lwip *l = calloc(1, sizeof(*l));

	ASSERT(l != NULL);
	l->end = (struct end){&lwip_ops, conf->driver};
	l->conf = *conf;
	if (tx == NULL)
		tx = unit_pool(TX_BUFFERS);
	l->tx = tx;
	clock_us = 0;
	load(l);
	the_lwip = l;
	l->call.lwip_init();
	struct netif *netif = l->call.netif_add(
		&l->netif, &address, &netmask, &gateway, l, on_netif_init, l->call.ethernet_input);
	ASSERT(netif != NULL);
	l->call.netif_set_default(netif);
	l->call.netif_set_up(netif); /* and it says who it is */
	listen_all(l);
	l->blocks_at_start = block_count;
	return &l->end;
}
