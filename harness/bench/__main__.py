"""`tox -e bench`: times the pipeline beside its bare graphs and two peer-shaped pipelines, originals beside previews,
and the service under load.

Takes about a quarter of an hour on two cores, on which nothing else should run. `tox -e bench -- PHOTOS` takes your
own photos.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from harness.bench import load, originals, pipelines, report
from harness.bench.photos import as_preview, drawn_photos, photos_in
from harness.service import running_service
from harness.upstream import checkout, install_plugin
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage

RELEASE = "v3.0.3"
CLIENTS = (1, 4, 16)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with the reason on stderr; slow is no failure."""
    parser = argparse.ArgumentParser(prog="tox -e bench --", description=__doc__)
    parser.add_argument("photos", nargs="?", type=Path, help="a folder of photos (default: 24 drawn ones)")
    parser.add_argument(
        "--out", type=Path, default=Path("out/bench"), help="where the results go (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="times each photo is run (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=10_000, help="photos of the memory test (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        results = run(args.photos, args.rounds, args.requests)
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    report.write(results, args.out)
    print(report.table(results))
    print(f"Written to {args.out.resolve()}")
    return 0


def run(folder: Path | None, rounds: int, requests: int) -> report.Results:
    """All measurements, one after the other."""
    package = ModelPackage.open()
    photos = drawn_photos() if folder is None else photos_in(folder)
    files = [as_preview(photo) for photo in photos]
    decoded = [read_photo(file) for file in files]
    print(f"Comparing pipelines on {len(photos)} photos", flush=True)
    costs, by_dogs = pipelines.compare(decoded, package, Path("runs/bench"), rounds)
    print("Comparing originals with previews", flush=True)
    of_originals = originals.measure(photos, package, rounds)
    upstream = checkout(RELEASE)
    with tempfile.TemporaryDirectory() as scratch:
        tree = upstream.copy(Path(scratch, "tree"), patched=True)
        plugin = install_plugin(Path(scratch, "plugin"), upstream.python)
        with running_service(tree, upstream.python, Path(scratch, "service"), plugin=plugin) as service:
            print(f"Loading Immich {RELEASE} with the plugin", flush=True)
            here, there = load.overhead(service, files, package, rounds)
            loads = [load.under_load(service, files, package.manifest.name, count, 400) for count in CLIENTS]
            print(f"Sending {requests} photos", flush=True)
            memory = load.memory(service, files, package.manifest.name, requests, lambda: load.resident_mb(service.pid))
    megapixels = sum(photo.shape[0] * photo.shape[1] for photo in decoded) / len(decoded) / 1e6
    return report.Results(
        date=date.today().isoformat(),
        machine=report.machine(),
        photos=f"{len(photos)} {'drawn ' if folder is None else ''}photos of {megapixels:.1f} megapixels on average",
        costs=costs,
        by_dogs=by_dogs,
        here=here,
        there=there,
        loads=loads,
        memory=memory,
        originals=of_originals,
        growth=load.growth(memory, after=min(1000, requests // 10)),
    )


if __name__ == "__main__":
    raise SystemExit(main())
