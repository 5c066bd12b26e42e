"""The embedder that ships: ``python -m trainers.embedder.fit``.

Its backbone lies part of the way from ImageNet's weights to the tuned ones; its projection, the principal components
of that backbone's features, comes from the training dogs and from breed photos.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from immich_dog_plugin.imaging import read_photo

from ..data.identity import breed_photos, read_identities
from ..interpolate import interpolate
from ..runs import Checkpoint, start_run
from ..specs import RECOGNITION
from .features import network_features
from .network import DIMENSION, EmbedderNetwork, embedder_network
from .projection import principal_directions, projection_layer
from .train import RUN as TUNED
from .train import load_tuned

log = logging.getLogger(__name__)
RUN = Path("runs/embedder")


def main() -> None:
    """Average, fit, and leave the network in ``runs/embedder/last.pt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--breeds", type=Path, default=Path("datasets/stanford_dogs"), help="a folder of breed photos")
    parser.add_argument("--breed-photos", type=int, default=4000, help="how many of them, drawn at random")
    parser.add_argument("--tuned", type=Path, default=TUNED, help="made by python -m trainers.embedder.train")
    parser.add_argument("--share", type=float, default=0.25, help="of the way from the starting to the tuned weights")
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start_run(args.run, args.seed, args.threads)

    breeds = breed_photos(args.breeds)
    drawn = np.random.default_rng(args.seed).permutation(len(breeds))[: args.breed_photos]
    files = [photo.file for photo in read_identities(args.data, "train")] + [breeds[index] for index in drawn]
    network = embedder_network()
    network.backbone = interpolate(network.backbone, load_tuned(args.tuned), args.share)
    features = network_features(network.backbone, files, read_photo, RECOGNITION.input, "Features")
    network.projection = projection_layer(principal_directions(features, DIMENSION))
    Checkpoint(args.run / "last.pt", network=network).save(epoch=0)
    log.info("projection fitted on %d photos", len(files))


def load_trained(run: Path = RUN) -> EmbedderNetwork:
    """The network of a run.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    network = embedder_network(pretrained=False)
    Checkpoint(run / "last.pt", network=network).load(made_by="python -m trainers.embedder.fit")
    return network.eval()


if __name__ == "__main__":
    main()
