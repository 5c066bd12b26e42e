"""Pipelines of the shape of two peers: a YOLO11n at 640 pixels, then a large embedder on the crop.

Their graphs are exported with random weights: what a graph costs depends on its shape alone. They run through our own
letterbox, crop and session, so that only the graphs differ, and they embed the dogs that our detector found, so that
all pipelines embed the same crops. Peers have no face points, so they are spared that stage.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from immich_dog_plugin.bench import Stopwatch, milliseconds
from immich_dog_plugin.geometry import FloatArray, ImageArray, crop_box
from immich_dog_plugin.manifest import DetectionSpec, InputSpec, RecognitionSpec
from immich_dog_plugin.pyramid import Pyramid
from immich_dog_plugin.stages.detector import Detector
from immich_dog_plugin.stages.embedder import Embedder
from immich_dog_plugin.stages.session import open_session

DETECTOR_SIDE, EMBEDDER_SIDE = 640, 224
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NO_CHECKSUM = "0" * 64  # a spec asks for one; these graphs never leave the machine that made them


@dataclass(frozen=True, slots=True)
class Peer:
    """What to export: a name for people and the timm model of the embedder."""

    name: str
    embedder: str
    dimension: int


PEERS = (
    Peer("YOLO11n 640 + DINOv2-B/14", "vit_base_patch14_dinov2", 768),
    Peer("YOLO11n 640 + ResNet50", "resnet50", 2048),
)


class PeerPipeline:
    """A peer's detector and embedder on a photo whose dogs are known."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        detection = DetectionSpec(
            sha256=NO_CHECKSUM,
            input=InputSpec(name="images", side=DETECTOR_SIDE, mean=zeros, std=ones, resize="letterbox"),
            output="output0",
            min_score=0.3,
            iou_threshold=0.6,
            max_dogs=50,
        )
        recognition = RecognitionSpec(
            sha256=NO_CHECKSUM,
            input=InputSpec(name="images", side=EMBEDDER_SIDE, mean=IMAGENET[0], std=IMAGENET[1], resize="squash"),
            output="embedding",
            dimension=peer.dimension,
        )
        detector = exported(folder / "yolo11n-640.onnx", _export_detector)
        embedder = exported(folder / f"{peer.embedder}.onnx", lambda file: _export_embedder(peer.embedder, file))
        self._watches = {
            "detection": Stopwatch(open_session(detector)),
            "recognition": Stopwatch(open_session(embedder)),
        }
        self._detect = Detector(self._watches["detection"], detection)
        self._embed = Embedder(self._watches["recognition"], recognition)

    def __call__(self, photo: ImageArray, boxes: FloatArray) -> dict[str, float]:
        """Milliseconds of one run on a photo with the dogs ``(n, 4)``: ``pipeline``, and of it each graph."""
        for watch in self._watches.values():
            watch.ms = 0.0
        total = milliseconds(lambda: self._run(photo, boxes))
        return {"pipeline": total} | {stage: watch.ms for stage, watch in self._watches.items()}

    def _run(self, photo: ImageArray, boxes: FloatArray) -> None:
        self._detect(Pyramid(photo))
        self._embed([(crop_box(photo, box, 0.0)[0],) for box in boxes])


def exported(file: Path, export: Callable[[Path], None]) -> Path:
    """The file, made unless it is there: a half-written one never stays under its name."""
    if not file.is_file():
        file = file.resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"unfinished-{file.name}")
        export(unfinished)
        unfinished.rename(file)
    return file


def _export_detector(file: Path) -> None:
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    from ultralytics import YOLO

    # ultralytics writes into the working directory
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        network = YOLO("yolo11n.yaml", verbose=False)
        written = Path(network.export(format="onnx", imgsz=DETECTOR_SIDE, simplify=False, verbose=False)).resolve()
        shutil.move(written, file)


def _export_embedder(name: str, file: Path) -> None:
    import timm
    import torch

    sized = {"img_size": EMBEDDER_SIDE} if "patch" in name else {}
    network = timm.create_model(name, pretrained=False, num_classes=0, **sized).eval()
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, EMBEDDER_SIDE, EMBEDDER_SIDE),),
        str(file),
        input_names=["images"],
        output_names=["embedding"],
        dynamic_axes={"images": {0: "batch"}, "embedding": {0: "batch"}},
        opset_version=17,
        dynamo=False,
        external_data=False,
    )
