"""`python -m drawn_dogs FOLDER --dogs 6 --photos 6`: write a folder of drawn photos."""

from __future__ import annotations

import argparse
from pathlib import Path

from drawn_dogs.tree import drawn_files


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m drawn_dogs", description="Draw photos of made-up dogs.")
    parser.add_argument("folder", type=Path, help="where to write FOLDER/<dog>/<n>.jpg and FOLDER/no-dog/<n>.jpg")
    parser.add_argument("--dogs", type=int, default=6, help="number of dogs (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=6, help="photos of each dog (default: %(default)s)")
    parser.add_argument("--scenes", type=int, default=3, help="photos without a dog (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed: the same dogs, other photos")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="pixels (default: 640 480)"
    )
    options = parser.parse_args()
    for path in drawn_files(
        options.folder,
        dogs=options.dogs,
        photos=options.photos,
        scenes=options.scenes,
        seed=options.seed,
        size=tuple(options.size),
    ):
        print(path)


if __name__ == "__main__":
    main()
