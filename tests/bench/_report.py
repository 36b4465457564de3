"""The comparison as a table for people, and as JSON for programs."""
import statistics

# Which rival's row stands beside which of ours, and what the pair is called.
PAIRS = (
    ("af_packet", "veth", "same transport: the kernel's clients over a veth pair"),
    ("memif", "loopback", "different transports"),
)
COLUMNS = (
    ("shape", "{:<14}", "shape"), ("system", "{:<12}", "system"),
    ("transport", "{:<10}", "transport"), ("messages_per_s", "{:>11}", "messages/s"),
    ("busy_us_per_message", "{:>8}", "busy us"), ("p50_us", "{:>10}", "p50 us"),
    ("p99_us", "{:>10}", "p99 us"), ("lost", "{:>7}", "lost"),
    ("memory_per_connection_bytes", "{:>10}", "bytes/conn"),
)
MEDIANS = ("messages_per_s", "busy_us_per_message", "p50_us", "p99_us", "p99_9_us")
SUMS = ("lost", "duplicated", "closed", "refused", "stalls")


def median_row(rows):
    """Of repeated runs: medians of what is measured, sums of what went wrong."""
    row = dict(rows[len(rows) // 2])
    for name in MEDIANS:
        values = [r[name] for r in rows if r[name] is not None]
        row[name] = round(statistics.median(values), 4) if values else None
    for name in SUMS:
        row[name] = sum(r[name] for r in rows)
    row["gaps_max_us"] = max(r["gaps_max_us"] for r in rows)
    row["gaps_percent"] = max(r["gaps_percent"] for r in rows)
    row["repeats"] = len(rows)
    return row


def shown(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 1 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(runs):
    lines = [" ".join(form.format(title) for _, form, title in COLUMNS)]
    lines += [" ".join(form.format(shown(run.get(name))) for name, form, _ in COLUMNS)
              for run in runs]
    return "\n".join(lines)


def find(runs, shape, system, transport):
    return next((r for r in runs if (r["shape"], r["system"], r["transport"]) ==
                 (shape, system, transport)), None)


def ratio(ours, theirs, name):
    """None where one of them is not known."""
    if ours is None or theirs is None or not ours.get(name) or not theirs.get(name):
        return None
    return round(ours[name] / theirs[name], 3)


def ratios(runs):
    """Signalbox against each rival, shape by shape; the rate's where it is a rate at all."""
    found = []
    for shape in dict.fromkeys(r["shape"] for r in runs):
        for rival in dict.fromkeys(r["system"] for r in runs if r["system"] != "signalbox"):
            for our_transport, their_transport, label in PAIRS:
                ours = find(runs, shape, "signalbox", our_transport)
                theirs = find(runs, shape, rival, their_transport)
                if ours is None or theirs is None:
                    continue
                found.append({
                    "shape": shape, "rival": rival, "label": label,
                    "transports": f"{our_transport} against {their_transport}",
                    "rate": None if shape == "paced" else ratio(ours, theirs, "messages_per_s"),
                    "busy": ratio(ours, theirs, "busy_us_per_message"),
                    "p99": ratio(ours, theirs, "p99_us"),
                })
    return found


def ratio_lines(found):
    lines = []
    for r in found:
        parts = [f"{r[name]:.2f} x {what}" for name, what in
                 (("rate", "the rate"), ("busy", "the busy time"), ("p99", "the p99"))
                 if r[name] is not None]
        lines.append(f"{r['shape']}: signalbox against {r['rival']}, {r['transports']} "
                     f"({r['label']}): {', '.join(parts)}")
    return "\n".join(lines)


def machine_lines(machine):
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']} MiB, kernel "
        f"{machine['kernel']}{', virtual' if machine['virtual'] else ''}; load before "
        f"{machine['load_before']:.2f}",
        f"broker on core {machine['broker_core']}, generator on core "
        f"{machine['generator_core']}; versions: " +
        ", ".join(f"{n} {v}" for n, v in machine["versions"].items()),
        f"noise of the machine (an empty loop): {machine['gaps_percent']:.2f} % of the time in "
        f"gaps, the longest {machine['gaps_max_us']:,.0f} us",
    ]
    if machine["gaps_percent"] > 2:
        lines.append("THIS MACHINE IS NOT QUIET: others take more than 2 % of the generator's "
                     "core; rates and delays below are theirs as much as the brokers'")
    if machine["broker_core"] == machine["generator_core"]:
        lines.append("ONE CORE ONLY: broker and generator take turns")
    return "\n".join(lines)


def memory_lines(memory):
    lines = []
    for m in memory:
        parts = m.get("parts_bytes") or m["rss_bytes"]
        lines.append(f"memory of an idle connection with one subscription, {m['system']} "
                     f"({m['transport']}, {m['connections']:,} of them): {m['bytes']:,.0f} "
                     "bytes: " + ", ".join(f"{n} {v:,.0f}" for n, v in parts.items()) +
                     (f"; the kernel's sockets beside it, about {m['kernel_bytes']:,.0f}"
                      if m["kernel_bytes"] else "; TCP is our own, the kernel has none of it"))
    return "\n".join(lines)


def stage_table(document):
    """Of each Signalbox row: cycles per message by stage, at the clock rate of /proc/cpuinfo."""
    rows = [r for r in document["runs"] if r.get("stages_us")]
    if not rows:
        return ""
    mhz = document["machine"]["mhz"] or 1000
    stages = list(rows[0]["stages_us"])
    lines = [f"cycles of the worker per message, by stage ({mhz:.0f} MHz; one busy turn in 16 is "
             "measured, at some 25 cycles for each change of stage):",
             f"{'shape':<14} {'transport':<10} " + " ".join(f"{s:>8}" for s in stages) +
             f" {'all':>8}"]
    for r in rows:
        cycles = [r["stages_us"][s] * mhz for s in stages]
        lines.append(f"{r['shape']:<14} {r['transport']:<10} " +
                     " ".join(f"{c:>8,.0f}" for c in cycles) + f" {sum(cycles):>8,.0f}")
    return "\n".join(lines)


def text(document):
    return "\n\n".join(x for x in (
        machine_lines(document["machine"]), table(document["runs"]),
        ratio_lines(document["ratios"]), stage_table(document),
        memory_lines(document["memory"])) if x)
