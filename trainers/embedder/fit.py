"""How far to go from the starting to the tuned weights, and what to project onto: ``python -m trainers.embedder.fit``.

All the way, a network that was tuned on a few thousand photos has forgotten some of what it could tell apart; part of
the way keeps most of both. Several runs of one recipe are averaged: ``--tuned runs/views/seed_*``. The 512 directions
are fitted anew on the network's features of photos that train; a run alone may keep those that it has trained.

Share and directions are chosen on validation dogs, on the crops that a package cuts out in service, by the dogs
photographed on many days: the largest TAR at FAR 1 % among the candidates whose equal error rate is the least or as
good as it. Over all dogs, what surrounds a dog photographed once would have a say.

Leaves the network in ``runs/embedder/last.pt``, recipe and figures in ``record.json``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import FloatArray, ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import DEFAULT_PACKAGE, ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from ..data.entries import BREEDS, FOLDER, TRAIN, VAL, Entry, read_entries
from ..dogs_found import crop_of, find_dogs, table
from ..records import Recorder, known_record, portable
from ..runs import Checkpoint, start_run
from .features import network_features
from .material import by_set
from .network import DIMENSION, RANDOM, EmbedderNetwork, embedder_network
from .projection import principal_directions, projection_layer
from .recipe import RUN as TUNED
from .recipe import Recipe
from .seeds import read_seeds
from .trained import common_recipe, load_averaged
from .validate import ALL, CROSS_SESSION, SAME_EER, Figures, figures_of, known_photos

log = logging.getLogger(__name__)
RUN = Path("runs/embedder")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
COMMON = (0, 1)
BREED_PHOTOS = 1500  # beside those of known dogs: enough for 512 directions
SERVED = "crop in service"


class Candidate(NamedTuple):
    """A share of the way from the starting to the tuned weights, and how many common directions are left out.

    ``common`` is None for the directions that the run itself has trained.
    """

    share: float
    common: int | None

    def __str__(self) -> str:
        directions = "the run's own directions" if self.common is None else f"{self.common} common directions out"
        return f"share {self.share}, {directions}"


def main() -> None:
    """Measure every candidate, print the tables, keep the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument(
        "--tuned", type=Path, nargs="+", default=[TUNED], help="runs of python -m trainers.embedder.train, averaged"
    )
    parser.add_argument("--package", default=DEFAULT_PACKAGE, help="whose detector, keypoints and crop are used")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=SHARES, help="of the way from the starting to the tuned weights"
    )
    parser.add_argument(
        "--common", type=int, nargs="+", default=COMMON, help="how many directions that all dogs share are left out"
    )
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        start_run(args.run, seed=1, threads=args.threads)
        fit(args.tuned, args.data, args.package, args.shares, args.common, args.run)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def fit(
    tuned: Sequence[Path], data: Path, package: str, shares: Sequence[float], common: Sequence[int], run: Path
) -> None:
    """Choose among the candidates for the averaged runs ``tuned``, and write the network to ``run``."""
    recipe = common_recipe(tuned)
    entries = read_entries(data / VAL)
    projected = entries_to_project(data)
    recorder = Recorder(
        run,
        "trainers.embedder.fit",
        {**recipe.state_dict(), "package": package, "averaged": ", ".join(str(portable(one)) for one in tuned)},
        {"directions": by_set(projected), "val": by_set(entries)},
        earlier=known_record(tuned[0]),
        seeds=read_seeds(tuned[0]),
    )
    opened = ModelPackage.open(package)
    photos = known_photos(entries)
    found = find_dogs(DogPipeline.open(opened), photos)
    side = recipe.architecture.input.side
    crops = {"whole photo": None, SERVED: opened.manifest.crop}
    pictures = {title: [crop_of(dog, crop, side) for dog in found] for title, crop in crops.items()}

    files = [entry.file_path for entry in projected]
    measured = {
        candidate: (directions, {title: figures_of(embeddings, photos) for title, embeddings in embedded.items()})
        for share in shares
        for candidate, directions, embedded in candidates(tuned, share, common, files, pictures)
    }
    for group in (ALL, CROSS_SESSION):
        shown = {
            f"{title}, {candidate}": of_titles[title][group]
            for title in pictures
            for candidate, (_, of_titles) in measured.items()
        }
        log.info("%s\n%s", group, table(shown))

    best = best_candidate({candidate: of_titles[SERVED] for candidate, (_, of_titles) in measured.items()})
    log.info("%s: kept in %s", best, run)
    directions, of_titles = measured[best]
    network = load_averaged(tuned, best.share)
    network.projection = projection_layer(directions)
    Checkpoint(run / "last.pt", recipe=replace(recipe, share=best.share), network=network).save(epoch=0)
    recorder.recipe |= best._asdict()
    history = [
        {"picture": title, **candidate._asdict(), "figures": figures}
        for candidate, (_, of_candidate) in measured.items()
        for title, figures in of_candidate.items()
    ]
    recorder.write(epochs=0, kept_epoch=None, validation=of_titles[SERVED], history=history)


def candidates(
    tuned: Sequence[Path],
    share: float,
    common: Sequence[int],
    files: Sequence[Path],
    pictures: Mapping[str, Sequence[ImageArray]],
) -> Iterator[tuple[Candidate, FloatArray, dict[str, FloatArray]]]:
    """Each candidate of a share, its directions ``(512, d)``, and its embeddings of the pictures by their title.

    Args:
        tuned: runs to average. Of one alone its own directions, which it has trained, are a candidate too.
        share: of the way.
        common: how many directions are left out.
        files: photos that the directions are fitted on.
        pictures: of validation dogs, by title.
    """
    network = load_averaged(tuned, share)
    own = network.projection.weight.detach().numpy()
    spec = network.input
    fitted_on = network_features(network.backbone, files, read_photo, spec, f"Share {share}: directions")
    features = {
        title: network_features(network.backbone, cuts, lambda cut: cut, spec, f"Share {share}: {title}")
        for title, cuts in pictures.items()
    }
    directions = {Candidate(share, count): principal_directions(fitted_on, DIMENSION, count) for count in common}
    if len(tuned) == 1:
        directions[Candidate(share, None)] = own
    for candidate, of_candidate in directions.items():
        yield candidate, of_candidate, {title: projected_onto(of_candidate, rows) for title, rows in features.items()}


def entries_to_project(data: Path) -> list[Entry]:
    """Photos that train, of known dogs and of breeds: the directions are fitted on them."""
    bred = read_entries(data / BREEDS)
    order = np.random.default_rng(1).permutation(len(bred))
    return [*read_entries(data / TRAIN), *(bred[index] for index in order[:BREED_PHOTOS])]


def projected_onto(directions: FloatArray, features: FloatArray) -> FloatArray:
    """Features ``(n, d)`` as the network with these directions embeds them, ``(n, 512)``."""
    network = EmbedderNetwork(nn.Identity(), projection_layer(directions))
    with torch.inference_mode():
        embeddings: FloatArray = network.embed(torch.from_numpy(features)).numpy()
    return embeddings


def best_candidate(figures: Mapping[Candidate, Figures]) -> Candidate:
    """By dogs on many days: the one with the best TAR among those within ``SAME_EER`` of the least error rate."""
    over_days = {candidate: of[CROSS_SESSION] for candidate, of in figures.items()}
    least = min(of["eer"] for of in over_days.values())
    equals = [candidate for candidate, of in over_days.items() if of["eer"] <= least + SAME_EER]
    return max(equals, key=lambda candidate: over_days[candidate]["tar_at_1_percent"] or 0.0)


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
