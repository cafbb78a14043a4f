"""What was measured, as Markdown."""

import statistics

FORWARDING = (
    ("packets per CPU-s, thousands", "{:.0f}", 1e-3, ("server", "packetsPerCpuS")),
    ("CPU of the server, % of one", "{:.0f}", 100, ("server", "cpuShare")),
    ("delay of pictures p50, ms", "{:.2f}", 1, ("delayMs", "video", "p50")),
    ("p99", "{:.2f}", 1, ("delayMs", "video", "p99")),
    ("p99.9", "{:.2f}", 1, ("delayMs", "video", "p999")),
    ("kB a viewer", "{:.0f}", 1e-3, ("server", "memoryPerViewer")),
    ("packets missing", "{:.0f}", 1, ("packets", "missing")),
)
TIMES = (
    ("answer p50, ms", "{:.1f}", 1, ("joinMs", "answer", "p50")),
    ("p95", "{:.1f}", 1, ("joinMs", "answer", "p95")),
    ("p99", "{:.1f}", 1, ("joinMs", "answer", "p99")),
    ("connected p50", "{:.1f}", 1, ("joinMs", "connected", "p50")),
    ("p95", "{:.1f}", 1, ("joinMs", "connected", "p95")),
    ("p99", "{:.1f}", 1, ("joinMs", "connected", "p99")),
    ("first packet p50", "{:.1f}", 1, ("joinMs", "firstPacket", "p50")),
    ("p95", "{:.1f}", 1, ("joinMs", "firstPacket", "p95")),
    ("p99", "{:.1f}", 1, ("joinMs", "firstPacket", "p99")),
    ("of a key frame p50", "{:.1f}", 1, ("joinMs", "firstKeyFrame", "p50")),
    ("p95", "{:.1f}", 1, ("joinMs", "firstKeyFrame", "p95")),
)
JOINS = (
    ("joins per CPU-s", "{:.0f}", 1, ("server", "joinsPerCpuS")),
    *TIMES,
    ("kB a viewer", "{:.0f}", 1e-3, ("server", "memoryPerViewer")),
)


def value(figures, path):
    for key in path:
        figures = figures[key] if figures is not None else None
    return figures


def median(runs, path):
    values = [value(run, path) for run in runs if not run["refused"]]
    values = [found for found in values if found is not None]
    return statistics.median(values) if values else None


def spread(runs, form, by, path):
    """Minimum, median and maximum."""
    values = sorted(found * by for found in (value(run, path) for run in runs) if found is not None)
    if not values:
        return "-"
    return " / ".join(form.format(found) for found in (values[0], statistics.median(values), values[-1]))


def table(cases, columns, last, tell):
    """A row for each case; where no run counts, the reason instead of figures."""
    lines = [f"| case | {' | '.join(name for name, *_ in columns)} | {last} |", "|---" * (len(columns) + 2) + "|"]
    for name, runs in cases.items():
        good = [run for run in runs if not run["refused"]]
        if good:
            cells = [spread(good, form, by, path) for _, form, by, path in columns]
        else:
            cells = [f"no figure: {runs[-1]['refused'][0]}", *["-"] * (len(columns) - 1)]
        lines.append(f"| {name} | {' | '.join(cells)} | {tell(good, runs)} |")
    return "\n".join(lines)


def reasons(cases):
    """Why runs do not count, each once."""
    said = [f"A run of {name} does not count: {why}." for name, runs in cases.items() for run in runs for why in run["refused"]]
    return "\n\n".join(dict.fromkeys(said))


def counted(good, runs):
    return f"{len(good)} of {len(runs)}"


def served(good, runs):
    everybody = sum(run["joinMs"]["firstKeyFrame"]["count"] == run["viewers"] for run in good)
    return f"{everybody} of {len(runs)} runs"


def times_more(cases, name, than):
    """How many times the packets per CPU-second of one case are those of another, by medians."""
    path = ("server", "packetsPerCpuS")
    ours, theirs = (median(cases.get(case, []), path) for case in (name, than))
    return ours / theirs if ours and theirs else None
