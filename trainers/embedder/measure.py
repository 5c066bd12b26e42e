"""The tuned backbone on validation dogs: ``python -m trainers.embedder.measure``.

Compares shares of the way from the starting to the tuned weights, on whole photos and on the body crop of the package
whose detector finds the dogs. Features are compared as they are, before any projection.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from immich_dog_plugin.geometry import FloatArray
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline

from ..data.identity import read_identities
from ..dogs_found import crop_of, figures_by_set, find_dogs, table
from ..export import PACKAGE
from ..interpolate import interpolate
from ..specs import RECOGNITION
from .features import network_features
from .network import backbone_network
from .train import RUN, load_tuned

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Print figures over all validation dogs and over each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--package", type=Path, default=PACKAGE, help="whose detector and crop are used")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    package = ModelPackage.open(args.package)
    photos = read_identities(args.data, "val")
    found = find_dogs(DogPipeline.open(package), photos)
    start, tuned = backbone_network().eval(), load_tuned(args.run)
    side = RECOGNITION.input.side
    for title, crop in (("whole photo", None), ("crop", package.manifest.crop)):
        cuts = [crop_of(dog, crop, side) for dog in found]
        rows = {
            f"share {share}, {group}": figures
            for share in args.shares
            for group, figures in figures_by_set(
                unit_rows(
                    network_features(interpolate(start, tuned, share), cuts, lambda cut: cut, RECOGNITION.input, title)
                ),
                photos,
            ).items()
        }
        print(f"\n{title}\n{table(rows)}")


def unit_rows(features: FloatArray) -> FloatArray:
    """Each row ``(n, d)`` scaled to unit length."""
    return torch.nn.functional.normalize(torch.from_numpy(features)).numpy()


if __name__ == "__main__":
    main()
