"""The results as a table, a plot and JSON."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from harness.bench.load import Load
from harness.bench.originals import AGREES, Originals
from harness.bench.photos import PREVIEW
from harness.bench.pipelines import OURS, Costs
from immich_dog_plugin.settings import Settings

GRAPHS = {"detection": "detector", "keypoint": "keypoints", "recognition": "embedder"}


@dataclass(frozen=True, slots=True)
class Results:
    """What one run showed; times in milliseconds.

    Attributes:
        machine: what it ran on, in words.
        photos: number of photos and their size, in words.
        costs: per pipeline the cost of a photo, and of it each graph's.
        by_dogs: per pipeline the cost of 1, 2, 4 and 8 dogs in one photo.
        here, there: file to dogs, in one process and asked of the service.
        loads: the service under more and more clients.
        memory: photos answered so far, resident megabytes of the service.
        growth: of the memory from the 1,000th photo to the last, as a fraction.
        originals: photos of a telephone's size beside their previews.
    """

    date: str
    machine: str
    photos: str
    costs: Costs
    by_dogs: dict[str, dict[int, float]]
    here: float
    there: float
    loads: list[Load]
    memory: list[tuple[int, float]]
    growth: float
    originals: Originals


def machine() -> str:
    """Processor, cores, memory and the versions that count."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    kilobytes = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return (
        f"{cpus[0] if cpus else platform.processor() or 'unknown processor'}, {len(cpus)} cores, "
        f"{kilobytes / 1e6:.0f} GB memory, {platform.system()}; Python {platform.python_version()}, ONNX Runtime "
        f"{version('onnxruntime')}, {Settings().threads} threads a graph"
    )


def write(results: Results, folder: Path) -> None:
    """``RESULTS.md``, ``RESULTS.json`` and ``speed.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.json").write_text(json.dumps(asdict(results), indent=1) + "\n")
    plot(results, folder / "speed.svg")
    (folder / "RESULTS.md").write_text(table(results))


def table(results: Results) -> str:
    """Everything as Markdown, goals beside what was reached."""
    ours = results.costs[OURS]
    graphs = sum(ours[stage] for stage in GRAPHS)
    goals = [("our pipeline / its graphs alone", ours["pipeline"] / graphs, "<= 1.10")]
    for (name, cost), goal in zip(list(results.costs.items())[1:], (">= 5", ">= 2"), strict=True):
        goals.append((f"{name} / our pipeline", cost["pipeline"] / ours["pipeline"], goal))
    goals.append(("service / pipeline, file to dogs", results.there / results.here, "<= 1.15"))
    goals.append(("memory at the end / after 1,000 photos", 1 + results.growth, "<= 1.02"))
    originals = results.originals
    ratio = originals.original_ms / originals.preview_ms
    goals.append((f"{originals.megapixels:.0f} megapixels / the same photo at {PREVIEW:,} pixels", ratio, "<= 1.4"))
    agreeing = originals.agreeing / originals.dogs if originals.dogs else float("nan")
    goals.append((f"dogs whose embeddings agree between the two (cosine >= {AGREES})", agreeing, ">= 0.95"))
    goals.append((f"peak GB on {originals.huge_megapixels:.0f} megapixels", originals.huge_mb / 1000, "<= 1.2"))
    return "\n".join(
        [
            "# Speed",
            "",
            f"Written by `tox -e bench` on {results.date}. {results.machine}. {results.photos}.",
            "",
            "![What a photo costs, the service under load, its memory](speed.svg)",
            "",
            "| | reached | goal |",
            "|---|---|---|",
            *(
                f"| {name} | {value:.3g} | {goal} |" if value >= 1.2 else f"| {name} | {value:.3f} | {goal} |"
                for name, value, goal in goals
            ),
            "",
            "What a decoded photo costs, milliseconds; all pipelines took turns, a pass over the photos each. The",
            "peers' graphs have random weights and embed the dogs that ours found; see `harness/bench/peers.py`.",
            "",
            "| pipeline | a photo | detector | keypoints | embedder | everything else | 1 dog | 2 | 4 | 8 |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *(_row(name, cost, results.by_dogs[name]) for name, cost in results.costs.items()),
            "",
            f"A photo from file to dogs: {results.here:.1f} ms in one process, {results.there:.1f} ms asked of the "
            "service (medians, taking turns).",
            "",
            f"From file to dogs, {originals.megapixels:.0f} megapixels: {originals.original_ms:.1f} ms; the same "
            f"photos at {PREVIEW:,} pixels: {originals.preview_ms:.1f} ms. Of {originals.dogs} dogs in the small ones "
            f"{originals.agreeing} have the same embedding in the large ones.",
            "",
            f"`immich-dogs identify` on {originals.identified} of the large ones, report and all: "
            f"{originals.one_worker_s:.1f} s with one worker, {originals.workers_s:.1f} s with {originals.workers}.",
            "",
            "| clients at once | photos/s | p50 ms | p95 ms |",
            "|---|---|---|---|",
            *(
                f"| {load.clients} | {load.photos_per_second:.1f} | {load.p50:.0f} | {load.p95:.0f} |"
                for load in results.loads
            ),
            "",
            f"Memory of the service: {_memory_at(results, 1000):.0f} MB after 1,000 photos, "
            f"{results.memory[-1][1]:.0f} MB after {results.memory[-1][0]:,}.",
            "",
        ]
    )


def _row(name: str, cost: dict[str, float], by_dogs: dict[int, float]) -> str:
    graphs = [cost.get(stage, 0.0) for stage in GRAPHS]
    figures = [cost["pipeline"], *graphs, cost["pipeline"] - sum(graphs), *by_dogs.values()]
    return f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |"


def _memory_at(results: Results, photos: int) -> float:
    return next((mb for done, mb in results.memory if done >= photos), results.memory[-1][1])


def plot(results: Results, file: Path) -> None:
    """Three panels: the cost of a photo by stage, the service under load, its memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "speed"  # the same picture twice is the same file
    from matplotlib import pyplot

    figure, (bars, load, memory) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    names = list(results.costs)[::-1]
    left = [0.0] * len(names)
    for stage, label in GRAPHS.items():
        widths = [results.costs[name].get(stage, 0.0) for name in names]
        bars.barh(names, widths, left=left, label=label)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    totals = [results.costs[name]["pipeline"] for name in names]
    rest = [total - start for total, start in zip(totals, left, strict=True)]
    bars.barh(names, rest, left=left, label="everything else", color="lightgrey")
    for place, total in enumerate(totals):
        bars.annotate(f"{total:.0f} ms", (total, place), xytext=(4, 0), textcoords="offset points", va="center")
    bars.set(title="A decoded photo", xlabel="ms", xlim=(0, max(totals) * 1.2))
    bars.legend(loc="lower right", fontsize="small")

    clients = [row.clients for row in results.loads]
    load.plot(clients, [row.p95 for row in results.loads], "o--", label="p95")
    load.plot(clients, [row.p50 for row in results.loads], "o-", label="p50")
    for row in results.loads:
        load.annotate(
            f"{row.photos_per_second:.0f} photos/s",
            (row.clients, row.p95),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
        )
    load.set(
        title="The service under load", xlabel="clients at once", ylabel="ms a photo", xscale="log", xlim=(0.6, 28)
    )
    load.set_ylim(0, max(row.p95 for row in results.loads) * 1.2)
    load.set_xticks(clients, [str(count) for count in clients])
    load.minorticks_off()
    load.legend(fontsize="small")

    memory.plot([photos for photos, _ in results.memory], [mb for _, mb in results.memory])
    memory.set(title="Memory of the service", xlabel="photos answered", ylabel="MB resident")
    memory.set_ylim(0, max(mb for _, mb in results.memory) * 1.2)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text().splitlines() if path.is_file() else []
