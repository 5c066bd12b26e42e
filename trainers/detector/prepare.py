"""Make the detector's training set: ``python -m trainers.detector.prepare``.

- annotated dogs, with their boxes;
- photos known to show a dog, with the boxes that the starting network is sure of;
- cuts of known dogs that train, each filled by its dog;
- made of these (``distances``): close-ups of dogs and of faces, and dogs pasted small into photos without one;
- photos of cats and, where there is a folder of them, of other animals, without a box.

Every tenth public photo, by a hash of its name, is held out under ``choose/``: ``dogs`` and ``others``. The share of
the way to the tuned weights is chosen there (``python -m trainers.detector.measure``), and the photos that measure
only measure. Dogs are held out before the starting network sees them, hard ones included.

Photos in which the starting network is unsure about a further animal are left out: a dog without its box would teach
the network to overlook dogs.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from rich.progress import track

from immich_dog_plugin.geometry import FloatArray, ImageArray, clip_boxes, letterbox, to_tensor
from immich_dog_plugin.imaging import PHOTO_SUFFIXES, read_photo

from ..data.duplicates import SeenPhotos, measuring_photos
from ..data.identity import breed_photos, read_identities
from ..data.landmarks import read_landmarks
from ..specs import DETECTION
from ..starting_weights import WEIGHTS, yolov8n_state
from .distances import close_ups, face_close_ups, far_dogs
from .examples import Example, write
from .network import COCO_ANIMALS, coco_network

log = logging.getLogger(__name__)
Thing = TypeVar("Thing")
DATASET = Path("datasets/detector")
SURE = 0.5
UNSURE = 0.15
BATCH = 8
HELD_OUT = 0.1
# The folder of cats shows dogs next to them; and who rejects wolves rejects huskies.
NO_OTHERS = frozenset({"dog", "cat", "wolf"})


def main() -> None:
    """Write ``datasets/detector`` in ultralytics' layout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--breeds", type=Path, default=Path("datasets/stanford_dogs"), help="each photo shows a dog")
    parser.add_argument("--cats-and-dogs", type=Path, default=Path("datasets/cats_and_dogs"), help="folders say which")
    parser.add_argument(
        "--other-animals", type=Path, default=Path("datasets/other_animals"), help="a folder per animal; may be missing"
    )
    parser.add_argument("--breed-photos", type=int, default=1500)
    parser.add_argument("--dog-photos", type=int, default=3000)
    parser.add_argument("--cat-photos", type=int, default=700)
    parser.add_argument("--other-photos", type=int, default=1500)
    parser.add_argument("--close-ups", type=int, default=800)
    parser.add_argument("--far-dogs", type=int, default=800)
    parser.add_argument("--side", type=int, default=416, help="at which the starting network looks for boxes")
    parser.add_argument("--out", type=Path, default=DATASET)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(args.threads)

    random = np.random.default_rng(1)
    pets = photos_under(args.cats_and_dogs)
    cats = draw([file for file in pets if "cats" in file.parts], args.cat_photos, random)
    dogs = draw([file for file in pets if "cats" not in file.parts], args.dog_photos, random)
    dogs += draw(breed_photos(args.breeds), args.breed_photos, random)
    others = [file for file in photos_under(args.other_animals) if file.parent.name not in NO_OTHERS]
    others = cats + draw(others, args.other_photos, random)

    for made_before in ("images", "labels", "choose", "made"):
        shutil.rmtree(args.out / made_before, ignore_errors=True)
    measuring = measuring_photos(args.data)
    seen = SeenPhotos(measuring)
    held_out = {
        "dogs": hold_out(dogs, seen, args.out / "choose" / "dogs"),
        "others": hold_out(others, seen, args.out / "choose" / "others"),
    }
    # A photo may come under a second name; one that is held out must not be trained on under that.
    seen = SeenPhotos([*measuring, *held_out["dogs"], *held_out["others"]])
    write("val", annotated(args.data, "val"), args.out)
    dogless = list(without_dog([file for file in others if not is_held_out(file)], seen))
    with_dogs = [
        *annotated(args.data, "train"),
        *sure_of([file for file in dogs if not is_held_out(file)], seen, args.side),
    ]
    alone = [example for example in with_dogs if len(example.boxes) == 1]
    write("train", [*dogless, *with_dogs, *filled(args.data)], args.out)
    write("train", face_close_ups(args.data, args.out / "made", random), args.out)
    write("train", close_ups(draw(alone, args.close_ups, random), args.out / "made", random), args.out)
    write("train", far_dogs(draw(alone, args.far_dogs, random), dogless, args.out / "made", random), args.out)
    (args.out / "data.yaml").write_text(
        f"path: {args.out.absolute()}\ntrain: images/train\nval: images/val\nnames:\n  0: dog\n"
    )


def photos_under(folder: Path) -> list[Path]:
    """Every photo under ``folder`` in a fixed order; none where there is no such folder."""
    return [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in PHOTO_SUFFIXES]


def draw(things: Sequence[Thing], count: int, random: np.random.Generator) -> list[Thing]:
    """``count`` of the things at random, or all."""
    return [things[index] for index in random.permutation(len(things))[:count]]


def is_held_out(file: Path) -> bool:
    """By a hash of folder and name: a photo stays where it is when others come."""
    digest = hashlib.sha256(f"{file.parent.name}/{file.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def hold_out(files: Sequence[Path], seen: SeenPhotos, folder: Path) -> list[Path]:
    """Link the photos that are held out into ``folder``, but for those that measure, and return them."""
    kept = [file for file in files if is_held_out(file) and read_photo(file) not in seen]
    folder.mkdir(parents=True)
    for file in kept:
        (folder / f"{file.parent.name}_{file.name}").symlink_to(file.absolute())
    log.info("%s: %d photos", folder, len(kept))
    return kept


def annotated(data: Path, split: str) -> Iterator[Example]:
    """Whole dogs with the box that a person drew."""
    for dog in read_landmarks(data):
        if dog.split == split and dog.source == "faye":
            height, width = read_photo(dog.photo).shape[:2]
            yield Example(dog.photo, f"faye_{dog.photo.stem}", (width, height), dog.box[None])


def filled(data: Path) -> Iterator[Example]:
    """Cuts of known dogs that train: the dog fills its cut."""
    for photo in read_identities(data, "train"):
        height, width = read_photo(photo.file).shape[:2]
        whole = np.array([[0, 0, width, height]], dtype=np.float32)
        yield Example(photo.file, f"known_{photo.file.parent.name}_{photo.file.stem}", (width, height), whole)


def without_dog(files: Sequence[Path], seen: SeenPhotos) -> Iterator[Example]:
    """Photos that show no dog."""
    for file in track(files, description="Photos without a dog"):
        photo = read_photo(file)
        if photo not in seen:
            name = f"other_{file.parent.name}_{file.stem}"
            yield Example(file, name, (photo.shape[1], photo.shape[0]), np.zeros((0, 4), np.float32))


def sure_of(files: Sequence[Path], seen: SeenPhotos, side: int) -> Iterator[Example]:
    """Photos known to show a dog in which the starting network is sure of every animal it sees."""
    network = coco_network(yolov8n_state(WEIGHTS)).fuse(verbose=False).eval()
    for start in track(range(0, len(files), BATCH), description="Boxes by the starting network"):
        batch = files[start : start + BATCH]
        photos = [read_photo(file) for file in batch]
        for file, photo, boxes in zip(batch, photos, animal_boxes(network, photos, side), strict=True):
            if boxes is not None and photo not in seen:
                yield Example(file, f"dog_{file.parent.name}_{file.stem}", (photo.shape[1], photo.shape[0]), boxes)


def animal_boxes(network: torch.nn.Module, photos: Sequence[ImageArray], side: int) -> list[FloatArray | None]:
    """For each photo the boxes ``(n, 4)`` of all animals, None where there is none or one is unsure."""
    canvases, mappings = zip(*(letterbox(photo, side) for photo in photos), strict=True)
    tensor = torch.from_numpy(to_tensor(canvases, DETECTION.input.mean, DETECTION.input.std))
    with torch.inference_mode():
        output = network(tensor)
    predictions = (output[0] if isinstance(output, tuple) else output).numpy()
    answers: list[FloatArray | None] = []
    for photo, mapping, prediction in zip(photos, mappings, predictions, strict=True):
        scores = prediction[4:][list(COCO_ANIMALS)].max(axis=0)
        found = np.flatnonzero(scores >= UNSURE)
        centre, size = prediction[:2, found].T, prediction[2:4, found].T
        boxes = np.concatenate([centre - size / 2, size], axis=1)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores[found].tolist(), UNSURE, 0.5)
        if len(kept) == 0 or scores[found][list(kept)].min() < SURE:
            answers.append(None)
            continue
        corners = (boxes[list(kept)] + np.pad(boxes[list(kept)][:, :2], ((0, 0), (2, 0)))).reshape(-1, 2, 2)
        answers.append(clip_boxes(mapping.to_photo(corners).reshape(-1, 4), photo.shape[1], photo.shape[0]))
    return answers


if __name__ == "__main__":
    main()
