"""How far to go from the starting to the tuned weights: ``python -m trainers.embedder.fit``.

All the way, a network that was tuned on a few thousand photos has forgotten some of what it could tell apart; part of
the way keeps most of both. The share is chosen on validation dogs, on the crops that a package cuts out in service:
the largest TAR at FAR 1 % over all dogs, among the shares whose equal error rate over dogs photographed on many days
is the least or as good as it. Leaves the network in ``runs/embedder/last.pt``, recipe and figures in ``record.json``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from ..data.entries import FOLDER, VAL, read_entries
from ..dogs_found import crop_of, find_dogs, table
from ..records import Recorder, known_record
from ..runs import Checkpoint, start_run
from .features import network_features
from .material import by_set
from .network import RANDOM, EmbedderNetwork, embedder_network
from .recipe import RUN as TUNED
from .recipe import Recipe
from .seeds import read_seeds
from .trained import load_trained as load_tuned
from .trained import recipe_of
from .validate import ALL, CROSS_SESSION, SAME_EER, Figures, figures_of, known_photos

log = logging.getLogger(__name__)
RUN = Path("runs/embedder")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Measure every share, print the tables, keep the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument("--tuned", type=Path, default=TUNED, help="a run of python -m trainers.embedder.train")
    parser.add_argument("--package", default=DEFAULT_PACKAGE, help="whose detector, keypoints and crop are used")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="one alone is taken without a choice")
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        start_run(args.run, seed=1, threads=args.threads)
        fit(args.tuned, args.data, args.package, args.shares, args.run)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def fit(tuned: Path, data: Path, package: str, shares: list[float], run: Path) -> None:
    """Choose the share of the way to the best epoch of the run ``tuned``, and write the network to ``run``."""
    recipe = recipe_of(tuned)
    entries = read_entries(data / VAL)
    recorder = Recorder(
        run,
        "trainers.embedder.fit",
        {**recipe.state_dict(), "package": package, "shares": list(shares)},
        {"val": by_set(entries)},
        earlier=known_record(tuned),
        seeds=read_seeds(tuned),
    )
    opened = ModelPackage.open(package)
    photos = known_photos(entries)
    found = find_dogs(DogPipeline.open(opened), photos)
    side = recipe.architecture.input.side
    rows = {}
    for title, crop in (("whole photo", None), ("crop in service", opened.manifest.crop)):
        cuts = [crop_of(dog, crop, side) for dog in found]
        for share in shares:
            network = load_tuned(tuned, share)
            embeddings = network_features(network, cuts, lambda cut: cut, network.input, f"{title}, share {share}")
            rows[title, share] = figures_of(embeddings, photos)
    for group in (ALL, CROSS_SESSION):
        shown = {f"{title}, share {share}": figures[group] for (title, share), figures in rows.items()}
        log.info("%s\n%s", group, table(shown))
    share = best_share({share: figures for (title, share), figures in rows.items() if title == "crop in service"})
    log.info("share %s is kept in %s", share, run)
    recipe = replace(recipe, share=share)
    Checkpoint(run / "last.pt", recipe=recipe, network=load_tuned(tuned, share)).save(epoch=0)
    recorder.recipe["share"] = share
    history = [{"picture": title, "share": way, "figures": figures} for (title, way), figures in rows.items()]
    recorder.write(epochs=0, kept_epoch=None, validation=rows["crop in service", share], history=history)


def best_share(figures: Mapping[float, Figures]) -> float:
    """The share with the best TAR among those within ``SAME_EER`` of the least error rate over many days."""
    least = min(of[CROSS_SESSION]["eer"] for of in figures.values())
    equals = [share for share, of in figures.items() if of[CROSS_SESSION]["eer"] <= least + SAME_EER]
    return max(equals, key=lambda share: figures[share][ALL]["tar_at_1_percent"] or 0.0)


def load_trained(run: Path = RUN) -> EmbedderNetwork:
    """The network that ``fit`` left in a folder; its ``input`` says how it reads a picture.

    Raises:
        FileNotFoundError: there is none; says which command makes one.
    """
    file, made_by = run / "last.pt", "python -m trainers.embedder.fit"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; make it with: {made_by}")
    recipe = Recipe(**torch.load(file, map_location="cpu", weights_only=True)["recipe"])
    network = embedder_network(recipe.architecture, RANDOM)
    Checkpoint(file, network=network).load(made_by)
    return network.eval()


if __name__ == "__main__":
    main()
