"""Cut the dogs out of the photos that train: ``python -m trainers.data.make_masks``.

Every photo gets one mask, kept in ``runs/masks`` under a hash of the photo's content: the same command continues where
it stopped, and a photo that moves keeps its mask. A rule rejects the bad ones; contact sheets show both kinds.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.geometry import ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detector
from immich_dog_plugin.stages.session import open_stage

from ..sheets import GREEN, RED, Tile, contact_sheet, save_png
from .entries import FOLDER, TRAIN, Entry, read_entries
from .foreground import Foreground
from .masks import MASKS, Masks, mask_fault

PACKAGE = Path("artifacts/dog-identification-v1")
ON_A_SHEET = 60


def main() -> None:
    """Make the masks that are missing, print how many are good, and draw some of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", type=Path, nargs="?", default=FOLDER / TRAIN, help="a list of photos")
    parser.add_argument("--photos", type=int, help="only so many of the list, drawn at random")
    parser.add_argument("--package", type=Path, default=PACKAGE, help="whose detector finds the dogs")
    parser.add_argument("--masks", type=Path, default=MASKS, help="where the masks go")
    parser.add_argument("--out", type=Path, default=Path("out/masks"), help="where the contact sheets go")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    try:
        run(args)
    except DogPluginError as error:
        raise SystemExit(str(error)) from error


def run(args: argparse.Namespace) -> None:
    """The command with its options."""
    package, masks = ModelPackage.open(args.package), Masks(args.masks)
    detector = Detector(open_stage(package, "detection"), package.manifest.detection)
    entries = read_entries(args.entries)
    drawn = [entries[index] for index in np.random.default_rng(1).permutation(len(entries))[: args.photos]]
    made = make_masks(drawn, masks, detector, Foreground.open(threads=args.threads))
    print(summary(made))
    for name, colour, chosen in (
        ("good", GREEN, [mask for mask in made if mask.fault is None]),
        ("rejected", RED, [mask for mask in made if mask.fault is not None]),
    ):
        file = args.out / f"{args.entries.stem}_{name}.png"
        tiles = [Tile(shown(mask), (mask.entry.dog or "", mask.fault or ""), colour) for mask in chosen[:ON_A_SHEET]]
        save_png(file, contact_sheet(tiles, columns=10, title=f"{name}: {len(chosen)} of {len(made)}"))
        print(f"{file}: {len(tiles)} masks that were {name}")


@dataclass(frozen=True, slots=True, eq=False)
class MadeMask:
    """What became of one photo.

    Attributes:
        entry: the photo.
        alpha: its mask ``(height, width)``.
        fault: why it was rejected, None for a good one.
        seconds: how long the network took, None where the mask was there already.
    """

    entry: Entry
    alpha: ImageArray
    fault: str | None
    seconds: float | None


def make_masks(entries: Sequence[Entry], masks: Masks, detector: Detector, foreground: Foreground) -> list[MadeMask]:
    """Cut out the dog of every photo and keep its mask under the rule's verdict."""
    made = []
    for entry in track(entries, description="Masks"):
        photo = read_photo(entry.file_path)
        boxes = detector(Pyramid(photo)).boxes
        # A crop that only shows a part of the dog may not be found as one; then the dog fills the picture.
        box = boxes[0] if len(boxes) else np.array([0, 0, photo.shape[1], photo.shape[0]], dtype=np.float32)
        alpha, seconds = masks.any(entry.file_path), None
        if alpha is None:
            started = time.perf_counter()
            alpha, seconds = foreground(photo, box), time.perf_counter() - started
        fault = mask_fault(alpha, box)
        masks.keep(entry.file_path, alpha, good=fault is None)
        made.append(MadeMask(entry, alpha, fault, seconds))
    return made


def summary(made: Sequence[MadeMask]) -> str:
    """How many masks are good in each set, why the others are not, and what a mask costs."""
    by_set: dict[str, list[MadeMask]] = defaultdict(list)
    for mask in made:
        by_set[mask.entry.set].append(mask)
    lines = [
        f"{name}: {sum(mask.fault is None for mask in group)} of {len(group)} masks are good; rejected: "
        + (", ".join(f"{n} {why}" for why, n in Counter(m.fault for m in group if m.fault).most_common()) or "none")
        for name, group in by_set.items()
    ]
    times = [mask.seconds for mask in made if mask.seconds is not None]
    if times:
        lines.append(f"{len(times)} made now, {np.median(times):.2f} s each (median)")
    return "\n".join(lines)


def shown(mask: MadeMask) -> ImageArray:
    """The photo with everything but the dog in green."""
    photo = read_photo(mask.entry.file_path)
    share = mask.alpha[:, :, None] / 255
    return np.asarray(share * photo + (1 - share) * (0, 170, 60)).astype(np.uint8)


if __name__ == "__main__":
    main()
