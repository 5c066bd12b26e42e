"""How far to go from the starting to the tuned weights, and what to project onto: ``python -m trainers.embedder.fit``.

All the way, a network that was tuned on a few thousand photos has forgotten some of what it could tell apart; part of
the way keeps most of both. Several runs of one recipe are averaged: ``--tuned runs/views/seed_*``. The 512 directions
are fitted anew on the network's features of photos that train: of bodies, or 256 of bodies and 256 of faces, so that
a dog whose face is visible can be embedded by both. A run alone may keep those that it has trained.

Share and directions are chosen on validation dogs, cut as in service, by the dogs photographed on many days: the
largest TAR at FAR 1 % among the candidates whose equal error rate is the least or as good as it.

Leaves the network in ``runs/embedder/last.pt``, recipe and figures in ``record.json``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import nn

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.evaluation.embedded import NamedDog, pictures_of
from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.embedder import Pictures, joined

from ..crops import both_crops
from ..data.entries import BREEDS, FOLDER, TRAIN, VAL, Entry, read_entries
from ..data.found import FOUND, NOWHERE, Places, key, place_of, read_places
from ..dogs_found import table
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
from .validate import ALL, CROSS_SESSION, best_over_days, figures_of, known_photos

log = logging.getLogger(__name__)
RUN = Path("runs/embedder")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
COMMON = (0, 1)
BREED_PHOTOS = 1500  # beside those of known dogs: enough for 512 directions
Part = Literal["body", "both"]


class Candidate(NamedTuple):
    """A share of the way from the starting to the tuned weights, and which directions.

    Attributes:
        share: of the way.
        part: of a dog that is embedded. ``both``: half of the directions are those of bodies, half those of faces.
        common: how many directions that all dogs share are left out, of each kind; None for the directions that the
            run itself has trained.
    """

    share: float
    part: Part
    common: int | None

    def __str__(self) -> str:
        directions = "the run's own directions" if self.common is None else f"{self.common} common directions out"
        return f"share {self.share}, {self.part}, {directions}"


def main() -> None:
    """Measure every candidate, print the tables, keep the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="lists of photos, made by python -m trainers.data")
    parser.add_argument("--found", type=Path, default=FOUND, help="made by python -m trainers.data.find_dogs")
    parser.add_argument(
        "--tuned", type=Path, nargs="+", default=[TUNED], help="runs of python -m trainers.embedder.train, averaged"
    )
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
        fit(args.tuned, args.data, read_places(args.found), args.shares, args.common, args.run)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def fit(
    tuned: Sequence[Path], data: Path, places: Places, shares: Sequence[float], common: Sequence[int], run: Path
) -> None:
    """Choose among the candidates for the averaged runs ``tuned``, and write the network to ``run``."""
    recipe = common_recipe(tuned)
    entries = [entry for entry in read_entries(data / VAL) if entry.identity_label is not None]
    projected = entries_to_project(data, places)
    recorder = Recorder(
        run,
        "trainers.embedder.fit",
        {**recipe.state_dict(), "averaged": ", ".join(str(portable(one)) for one in tuned)},
        {"directions": by_set(projected), "val": by_set(entries)},
        earlier=known_record(tuned[0]),
        seeds=read_seeds(tuned[0]),
    )
    photos, side = known_photos(entries), recipe.architecture.input.side
    val = [cuts_of(entry.file_path, places, side) for entry in entries]
    train = [cuts_of(entry.file_path, places, side) for entry in track(projected, description="Photos that train")]
    measured = {
        candidate: (directions, figures_of(embeddings, photos))
        for share in shares
        for candidate, directions, embeddings in candidates(tuned, share, common, train, val)
    }
    for group in (ALL, CROSS_SESSION):
        log.info("%s\n%s", group, table({str(one): figures[group] for one, (_, figures) in measured.items()}))

    best = best_over_days({candidate: figures for candidate, (_, figures) in measured.items()})
    log.info("%s: kept in %s", best, run)
    directions, figures = measured[best]
    network = load_averaged(tuned, best.share)
    network.projection = projection_layer(directions)
    Checkpoint(run / "last.pt", recipe=replace(recipe, share=best.share), network=network).save(epoch=0)
    recorder.recipe |= best._asdict()
    history = [{**candidate._asdict(), "figures": of_one} for candidate, (_, of_one) in measured.items()]
    recorder.write(epochs=0, kept_epoch=None, validation=figures, history=history)


def candidates(
    tuned: Sequence[Path], share: float, common: Sequence[int], train: Sequence[Pictures], val: Sequence[Pictures]
) -> Iterator[tuple[Candidate, FloatArray, FloatArray]]:
    """Each candidate of a share, its directions ``(512, d)``, and its embeddings of the validation dogs ``(n, 512)``.

    Args:
        tuned: runs to average. Of one alone its own directions, which it has trained, are a candidate too.
        share: of the way.
        common: how many directions are left out.
        train: dogs that the directions are fitted on: body, and face where it is visible.
        val: the validation dogs, likewise.
    """
    network = load_averaged(tuned, share)
    own = network.projection.weight.detach().numpy()

    def features(dogs: Sequence[Pictures], title: str) -> FloatArray:
        pictures = [picture for of_dog in dogs for picture in of_dog]
        return network_features(network.backbone, pictures, lambda cut: cut, network.input, f"Share {share}: {title}")

    of_train, of_val = features(train, "directions"), features(val, "validation dogs")
    faces, counts = second_pictures(train), [len(of_dog) for of_dog in val]
    bodies = ~second_pictures(val)
    for count in common:
        directions = principal_directions(of_train[~faces], DIMENSION, count)
        yield Candidate(share, "body", count), directions, projected_onto(directions, of_val[bodies])
        directions = np.vstack(
            [principal_directions(of_train[kind], DIMENSION // 2, count) for kind in (~faces, faces)]
        )
        yield Candidate(share, "both", count), directions, joined(projected_onto(directions, of_val), counts)
    if len(tuned) == 1:
        yield Candidate(share, "body", None), own, projected_onto(own, of_val[bodies])


def entries_to_project(data: Path, places: Places) -> list[Entry]:
    """Photos that train, of known dogs and of breeds, in which a dog was found: the directions are fitted on them."""
    bred = read_entries(data / BREEDS)
    order = np.random.default_rng(1).permutation(len(bred))
    entries = [*read_entries(data / TRAIN), *(bred[index] for index in order[:BREED_PHOTOS])]
    return [entry for entry in entries if places.get(key(entry.file_path), NOWHERE).box]


def cuts_of(file: Path, places: Places, side: int) -> Pictures:
    """The body of the dog in a photo, and its face where it is visible, as service cuts them.

    Raises:
        DataError: nobody has looked for the dog.
    """
    photo, place = read_photo(file), place_of(file, places)
    dog = NamedDog(place.box_in(photo.shape[1], photo.shape[0]), place.keypoints, int(place.box is not None))
    return pictures_of(Pyramid(photo), dog, both_crops(), side)


def second_pictures(dogs: Sequence[Pictures]) -> NDArray[np.bool_]:
    """``(m,)`` over all pictures of the dogs, whether it is the second of its dog.

    >>> picture = np.zeros((1, 1, 3), dtype=np.uint8)
    >>> second_pictures([(picture, picture), (picture,)])
    array([False,  True, False])
    """
    return np.array([number > 0 for pictures in dogs for number in range(len(pictures))], dtype=bool)


def projected_onto(directions: FloatArray, features: FloatArray) -> FloatArray:
    """Features ``(n, d)`` as the network with these directions embeds them, ``(n, 512)``."""
    network = EmbedderNetwork(nn.Identity(), projection_layer(directions))
    with torch.inference_mode():
        embeddings: FloatArray = network.embed(torch.from_numpy(features)).numpy()
    return embeddings


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
