"""Train the embedder: ``python -m trainers.embedder.train``.

Known dogs (``--loss arcface``, ``subcenter``, ``triplet``), views of breed photos (``--views``, or ``--loss views``
alone), breeds as classes beside them, and a larger network to stay close to (``--teacher``): every loss that a recipe
names is part of one sum. Validation dogs are measured after every epoch. The best epoch is the one with the smallest
equal error rate over dogs photographed on many days, and among those as good by it the one with the largest TAR at
FAR 1 % over all validation dogs.

Interrupted and started again, the same command continues from the last whole epoch. ``torchrun --nproc-per-node N -m --
trainers.embedder.train ...`` shares every batch among N processes (without the ``--``, torchrun takes ``--run`` for its
own).
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from immich_dog_plugin.errors import DogPluginError

from ..data.entries import FOLDER
from ..data.found import FOUND
from ..data.masks import MASKS
from ..distributed import Processes, processes
from ..runs import start_run
from .material import Material
from .recipe import RUN, Recipe, add_options, recipe_from
from .seeds import spread_table, write_seeds
from .training import train

log = logging.getLogger(__name__)


def main() -> None:
    """Train with one seed, or with several one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument("--masks", type=Path, default=MASKS, help="made by python -m trainers.data.make_masks")
    parser.add_argument("--found", type=Path, default=FOUND, help="made by python -m trainers.data.find_dogs")
    parser.add_argument("--run", type=Path, default=RUN, help="where checkpoints, curves and the log go")
    parser.add_argument("--seeds", type=int, default=1, help="so many runs, from --seed on, in folders seed_N")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare the photos of each kind")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the GPU where there is one by default")
    add_options(parser)
    args = parser.parse_args()
    try:
        recipe = recipe_from(args)
        with processes(args.device) as here:
            start_run(args.run, recipe.seed, args.threads, logs=here.first)
            train_seeds(recipe, args, here)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def train_seeds(recipe: Recipe, args: argparse.Namespace, here: Processes) -> None:
    """Every seed's run, and with several the figures of their best epochs: ``seeds.json``, ``seeds.md``."""
    seeds = range(recipe.seed, recipe.seed + args.seeds)
    figures = {}
    for seed in seeds:
        seeded = replace(recipe, seed=seed)
        run = args.run / f"seed_{seed}" if len(seeds) > 1 else args.run
        material = Material.read(seeded, args.data, args.masks, args.found)
        log.info("seed %d: %d photos of known dogs, %d of breeds", seed, len(material.known), len(material.bred))
        best = train(seeded, run, material, here, args.workers).figures_of_best
        if best is not None:
            figures[seed] = best
    if len(figures) > 1 and here.first:
        write_seeds(args.run, figures)
        log.info("best epochs:\n%s", spread_table(figures))


if __name__ == "__main__":
    main()
