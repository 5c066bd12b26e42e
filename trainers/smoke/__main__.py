"""From photos to a model package on a handful of dogs: ``python -m trainers.smoke FOLDER OUT``.

Shows in minutes that the commands of ``README.md`` fit together, from the lists of photos to the model card. A dozen
dogs and a few steps make no good network: the package is worth nothing.

``FOLDER`` holds a folder of photos per dog, and one named ``no-dog``. The detector is kept from the shipped package,
because its starting weights are not on every machine; the keypoint network trains on from the shipped one.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from .layout import lay_out

log = logging.getLogger(__name__)
PACKAGE = "artifacts/smoke"
SHIPPED = "SHIPPED"  # stands for the folder of the shipped package
COMMANDS = f"""\
trainers.data --source shared data --source csv data/breeds.csv --data data
trainers.data.find_dogs
trainers.keypoints.train --data data --start {SHIPPED} --epochs 1 --batch 4 --side 128
trainers.embedder.train --epochs 1 --steps 3 --dogs 2 --photos 2 --views 8 --views-of dog --side 128 --lr 1e-5
trainers.embedder.fit --shares 0.25
trainers.export --data data --out {PACKAGE} --version 0.0.1 --keep detection
trainers.choose --data data --package {PACKAGE}
trainers.calibrate --data data --package {PACKAGE}
trainers.variants --data data --package {PACKAGE} --sides 160 --record
trainers.evaluate --data data --package {PACKAGE} --record"""


def main() -> None:
    """Lay the photos out, run every command, and say how long each took."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.smoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="photos: a folder per dog, and no-dog")
    parser.add_argument("out", type=Path, help="where everything is made, within the repository; what is there goes")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started = time.perf_counter()
    try:
        shutil.rmtree(args.out, ignore_errors=True)
        package = ModelPackage.open(DEFAULT_PACKAGE)
        lay_out(args.folder, args.out / "data", DogPipeline.open(package))
        for command in COMMANDS.splitlines():
            run([str(package.path.resolve()) if part == SHIPPED else part for part in command.split()], args.out)
        made = ModelPackage.open(args.out / PACKAGE)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error
    log.info("\n%s is whole: made in %.0f s", made, time.perf_counter() - started)


def run(command: Sequence[str], folder: Path) -> None:
    """Run a module of this repository in ``folder``, where all of them find and leave their runs.

    Raises:
        SystemExit: it failed; what it said stands above.
    """
    log.info("\n$ python -m %s", " ".join(command))
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    code = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=environment, check=False).returncode
    if code:
        raise SystemExit(f"python -m {command[0]} ended with exit code {code}")
    log.info("%s took %.0f s", command[0], time.perf_counter() - started)


if __name__ == "__main__":
    main()
