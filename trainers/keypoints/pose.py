"""ultralytics' pose model on the same views as the heat maps, for comparison: ``python -m trainers.keypoints.pose``.

YOLOv8n-pose starts from COCO's detector and is measured on validation dogs through serving's own stage, as the heat
maps are. It errs more (docs/experiments/keypoints.md), so no package holds it. Interrupted and started again, the same
command continues from the last whole epoch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.nn.tasks import PoseModel
from ultralytics.utils.loss import v8PoseLoss

from immich_dog_plugin.geometry import FLIP_ORDER, KEYPOINT_NAMES, FloatArray, ImageArray
from immich_dog_plugin.imaging import read_photo
from immich_dog_plugin.manifest import KeypointSpec
from immich_dog_plugin.stages.keypoints import KeypointEstimator

from ..data.landmarks import AnnotatedDog, read_landmarks
from ..records import FILE as RECORD
from ..records import Recorder, options_of
from ..runs import Checkpoint
from ..specs import KEYPOINT
from ..starting_weights import WEIGHTS, yolov8n_state
from ..torch_session import TorchSession
from ..yolo import averaged_network, last_epoch, run_options
from .augment import View, random_view
from .dataset import on_canvas
from .measure import estimate, figures
from .train import counts

RUN = Path("runs/pose")
POINTS = len(KEYPOINT_NAMES)
# How far off a point may be, as a share of the dog's size: COCO's points have 0.025 (eyes) to 0.107 (hips). With
# ultralytics' default for other points, 0.2 here, a good point is hardly told from a fair one.
TOLERANCE = 0.05
FROZEN = 4  # layers of edges and textures
READ = KEYPOINT.input.model_copy(update={"mean": (0, 0, 0), "std": (1, 1, 1)})  # as ultralytics scales pictures


class DogPose(PoseModel):
    """YOLOv8n-pose with one class, dog, and its five points, each visible or not."""

    def __init__(self) -> None:
        super().__init__("yolov8n-pose.yaml", nc=1, data_kpt_shape=[POINTS, 3], verbose=False)

    def init_criterion(self) -> v8PoseLoss:
        """ultralytics' losses, with our tolerance."""
        criterion = v8PoseLoss(self)
        criterion.keypoint_loss.sigmas = torch.full((POINTS,), TOLERANCE, device=criterion.device)
        return criterion


class DogPoseTrainer(PoseTrainer):
    """ultralytics' trainer, started from COCO's detector."""

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> DogPose:
        """The network; ``weights`` holds the run's own when ultralytics continues one."""
        network = DogPose()
        state = yolov8n_state(WEIGHTS)
        self.started = start_from_detector(network, state)
        if weights is not None:
            network.load(weights)
        return network

    def _model_train(self) -> None:
        """Train mode but for the starting network's batch normalisation, which is folded into its convolutions."""
        super()._model_train()
        for name, module in self.model.named_modules():
            if isinstance(module, nn.BatchNorm2d) and f"{name}.weight" in self.started:
                module.eval()


class ExportedPose(nn.Module):
    """What the stage takes: ``(n, 5, 3)``, the points of the surest dog of each picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(images)
        answers = output[0] if isinstance(output, tuple) else output  # (n, 4 + 1 + 15, anchors)
        surest = answers[:, 4].argmax(dim=1)
        points: Tensor = answers[torch.arange(len(answers)), 5:, surest].unflatten(1, (POINTS, 3))
        return points


def main() -> None:
    """Draw the views, train, and print the errors on validation dogs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--run", type=Path, default=RUN, help="where views, checkpoint and record go")
    parser.add_argument("--side", type=int, default=READ.side, help="of the input, in pixels")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--views", type=int, default=8, help="of each dog in an epoch")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if (args.run / "last.pt").is_file():
        print((args.run / RECORD).read_text(encoding="utf-8"))
        print(f"{args.run} holds a finished run: remove the folder, or name another with --run, to train anew")
        return

    spec = KEYPOINT.model_copy(update={"input": READ.model_copy(update={"side": args.side})})
    dogs = read_landmarks(args.data)
    train, val = ([dog for dog in dogs if dog.split == split] for split in ("train", "val"))
    views = args.run / f"views_{args.side}_{args.views}_{args.seed}"
    if not (views / "data.yaml").is_file():  # written last
        write_views(train, val, views, spec, args.views, np.random.default_rng(args.seed))
    recorder = Recorder(
        args.run,
        "trainers.keypoints.pose",
        options_of(args),
        {"train": counts(train), "val": counts(val)},
        continues=last_epoch(args.run).is_file(),
    )
    trainer = DogPoseTrainer(
        overrides=run_options(args, "yolov8n-pose.yaml", (views / "data.yaml").absolute())
        | {
            "freeze": FROZEN,
            "lrf": 0.02,
            "weight_decay": 0.01,
            # The views are random already; what ultralytics adds is mirroring, a little shift and colour.
            "mosaic": 0.0,
            "scale": 0.1,
            "translate": 0.05,
            "erasing": 0.0,
            "hsv_h": 0.01,
            "hsv_s": 0.3,
            "hsv_v": 0.2,
        }
    )
    trainer.train()
    network = averaged_network(trainer.last)
    Checkpoint(args.run / "last.pt", network=network).save(args.epochs)
    estimator = KeypointEstimator(TorchSession(ExportedPose(network)), spec)
    measured: dict[str, dict[str, Any]] = {}
    for source in sorted({dog.source for dog in val}):
        answers = estimate(estimator, [dog for dog in val if dog.source == source])
        measured[source] = figures(answers, spec.min_face_score)
    recorder.write(epochs=args.epochs, kept_epoch=args.epochs, validation=measured)
    print(json.dumps(measured, indent=1))


def start_from_detector(network: DogPose, state: dict[str, Tensor]) -> set[str]:
    """Fill every layer that the detector has in the same shape; their names. Points and the class start at random."""
    own = network.state_dict()
    fitting = {name: values for name, values in state.items() if name in own and own[name].shape == values.shape}
    network.load_state_dict(fitting, strict=False)
    return set(fitting)


def write_views(
    train: Sequence[AnnotatedDog],
    val: Sequence[AnnotatedDog],
    folder: Path,
    spec: KeypointSpec,
    views: int,
    random: np.random.Generator,
) -> None:
    """Pictures, labels and ``data.yaml`` in ultralytics' layout: random views of dogs that train, the others plain."""
    for number, dog in enumerate(track(train, description="Views")):
        photo = read_photo(dog.photo)
        for view in range(views):
            _write(random_view(dog, photo, random), folder, "train", f"{number}_{view}", spec)
    for number, dog in enumerate(val):
        _write(View(read_photo(dog.photo), dog.box, dog.points), folder, "val", str(number), spec)
    (folder / "data.yaml").write_text(
        f"path: {folder.absolute()}\ntrain: images/train\nval: images/val\nkpt_shape: [{POINTS}, 3]\n"
        f"flip_idx: {list(FLIP_ORDER)}\nnames:\n  0: dog\n"
    )


def _write(view: View, folder: Path, split: str, name: str, spec: KeypointSpec) -> None:
    picture, label = labelled(view, spec)
    image, text = folder / "images" / split / f"{name}.png", folder / "labels" / split / f"{name}.txt"
    image.parent.mkdir(parents=True, exist_ok=True)
    text.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    text.write_text("0 " + " ".join(f"{number:.6f}" for number in label) + "\n")


def labelled(view: View, spec: KeypointSpec) -> tuple[ImageArray, FloatArray]:
    """The canvas of a view, and its box (centre, size) and points (x, y, 2 visible or 0 not) as shares of the side."""
    side, (height, width) = spec.input.side, view.photo.shape[:2]
    canvas, points, mapping = on_canvas(view, spec)
    corners = mapping.to_canvas(np.clip(view.box.reshape(2, 2), 0, (width, height)).astype(np.float32)).clip(0, side)
    points[:, :2] /= side
    points[:, 2] *= 2
    box = np.concatenate([corners.mean(axis=0), corners[1] - corners[0]]) / side
    return canvas, np.concatenate([box, points.ravel()]).astype(np.float32)


if __name__ == "__main__":
    main()
