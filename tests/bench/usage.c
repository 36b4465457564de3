/* usage.c - see usage.h. */
#include "tests/bench/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t ticks_us(uint64_t ticks)
{
	return ticks * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* proc(5): "pid (name) state ppid ...", in which the name may contain anything. */
bool usage_parse_process(const char *line, struct usage_process *out, unsigned *core)
{
	enum { UTIME = 14, STIME = 15, RSS = 24, PROCESSOR = 39 };
	const char *at = strrchr(line, ')');
	uint64_t field[PROCESSOR + 1] = {0};

	if (at == NULL || at[1] != ' ' || at[2] == '\0')
		return false;
	at += 3; /* behind the state, which is field 3 */
	for (int i = 4; i <= PROCESSOR; i++) {
		char *end;
		field[i] = strtoull(at, &end, 10);
		if (end == at)
			return false;
		at = end;
	}
	out->cpu_us = ticks_us(field[UTIME] + field[STIME]);
	out->rss_bytes = field[RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
	*core = (unsigned)field[PROCESSOR];
	return true;
}

/* "cpuN user nice system idle iowait irq softirq steal ..." */
bool usage_parse_core(const char *line, unsigned *core, struct usage_core *out)
{
	uint64_t user, nice, system, irq, softirq, stolen;

	if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
		return false; /* not the line of all cores together */
	if (sscanf(line,
		    "cpu%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64
		    " %" SCNu64,
		    core, &user, &nice, &system, &irq, &softirq, &stolen) != 7)
		return false;
	out->busy_us = ticks_us(user + nice + system + irq + softirq);
	out->softirq_us = ticks_us(irq + softirq);
	out->nice_us = ticks_us(nice);
	out->stolen_us = ticks_us(stolen);
	return true;
}

static bool read_line(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return false;
	const bool good = fgets(to, (int)size, f) != NULL;
	fclose(f);
	return good;
}

static void find_cores(pid_t pid, uint64_t *cores)
{
	struct usage_process unused;
	char path[96], line[1024];
	unsigned core;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL)
		return;
	for (const struct dirent *d = readdir(tasks); d != NULL; d = readdir(tasks)) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", (int)pid, d->d_name);
		if (d->d_name[0] != '.' && read_line(path, line, sizeof(line)) &&
			usage_parse_process(line, &unused, &core) && core < USAGE_CORES_MAX)
			*cores |= 1ull << core;
	}
	closedir(tasks);
}

bool usage_process(pid_t pid, struct usage_process *out)
{
	char path[64], line[1024];
	unsigned core;

	*out = (struct usage_process){0};
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_line(path, line, sizeof(line)) || !usage_parse_process(line, out, &core))
		return false;
	find_cores(pid, &out->cores);
	return true;
}

bool usage_core(unsigned wanted, struct usage_core *out)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[512];
	unsigned core;
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = usage_parse_core(line, &core, out) && core == wanted;
	if (f != NULL)
		fclose(f);
	return found;
}

pid_t usage_softirq_thread(unsigned core)
{
	char wanted[32], path[64], line[64];
	DIR *all = opendir("/proc");
	pid_t found = 0;

	snprintf(wanted, sizeof(wanted), "ksoftirqd/%u\n", core);
	for (const struct dirent *d = all == NULL ? NULL : readdir(all); d != NULL && found == 0;
		d = readdir(all)) {
		snprintf(path, sizeof(path), "/proc/%.16s/comm", d->d_name);
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9' &&
			read_line(path, line, sizeof(line)) && strcmp(line, wanted) == 0)
			found = (pid_t)strtol(d->d_name, NULL, 10);
	}
	if (all != NULL)
		closedir(all);
	return found;
}

void usage_measure_gaps(
	uint64_t (*now_ns)(void), uint64_t for_ns, uint64_t gap_min_ns, struct usage_gaps *out)
{
	const uint64_t start = now_ns();
	uint64_t before = start, now = start;

	histogram_clear(&out->gaps);
	while (now - start < for_ns) {
		now = now_ns();
		if (now - before >= gap_min_ns)
			histogram_add(&out->gaps, now - before);
		before = now;
	}
	out->share = now == start ? 0 : (double)out->gaps.sum / (double)(now - start);
}
