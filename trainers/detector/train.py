"""Fine-tune the detector through ultralytics: ``python -m trainers.detector.train``.

Interrupted and started again, the same command continues from the last whole epoch in ``runs/detector``.
"""

from __future__ import annotations

import os

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import argparse
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel

from ..interpolate import interpolate
from ..runs import Checkpoint
from ..starting_weights import WEIGHTS, yolov8n_state
from .network import one_class_network
from .prepare import DATASET

RUN = Path("runs/detector")


class DogTrainer(DetectionTrainer):
    """ultralytics' trainer, started from COCO's dog row and with batch normalisation left as it is."""

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> DetectionModel:
        """The one-class network; ``weights`` holds the run's own when ultralytics continues one."""
        network = one_class_network(yolov8n_state(WEIGHTS))
        if weights is not None:
            network.load(weights)
        return network

    def _model_train(self) -> None:
        """Train mode but for batch normalisation.

        The starting weights have it folded into the convolutions, so its running statistics are not those of the
        data: with statistics of the batch the network would answer something else than it was trained to.
        """
        super()._model_train()
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def main() -> None:
    """Fine-tune and leave the weights in ``runs/detector/last.pt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, default=DATASET, help="made by python -m trainers.detector.prepare")
    parser.add_argument("--run", type=Path, default=RUN)
    parser.add_argument("--side", type=int, default=416)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--fraction", type=float, default=0.6, help="share of the training photos that is used")
    parser.add_argument("--share", type=float, default=0.25, help="of the way from the starting to the tuned weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    if (args.run / "last.pt").is_file():
        print(f"{args.run} holds a finished run; remove it, or name another with --run, to train anew")
        return
    last = args.run / "ultralytics" / "weights" / "last.pt"
    trainer = DogTrainer(
        overrides={
            "model": str(last) if last.is_file() else "yolov8n.yaml",
            "resume": str(last) if last.is_file() else False,
            "data": str(args.dataset / "data.yaml"),
            "project": str(args.run.absolute()),
            "name": "ultralytics",
            "exist_ok": True,
            "imgsz": args.side,
            "epochs": args.epochs,
            "fraction": args.fraction,
            # The first layers see edges and textures, and half of the time would go into their gradients.
            "freeze": 5,
            "batch": args.batch,
            "seed": args.seed,
            "device": "cpu",
            "workers": 1,
            "amp": False,
            "plots": False,
            "optimizer": "AdamW",
            "lr0": args.lr,
            "lrf": 0.05,
            "warmup_epochs": 0.3,
            "warmup_bias_lr": 0.0,
            "weight_decay": 1e-4,
            "nbs": args.batch,
            # Dogs of all sizes: mosaics of four photos, each scaled by 0.4 to 1.6; a plain photo at the end.
            "mosaic": 0.7,
            "scale": 0.6,
            "close_mosaic": 1,
            "degrees": 8.0,
        }
    )
    trainer.train()
    # At the end ultralytics leaves the averaged network under "model"; the file is our own, hence no weights_only.
    tuned = torch.load(trainer.last, map_location="cpu", weights_only=False)["model"].float()
    start = one_class_network(yolov8n_state(WEIGHTS))
    Checkpoint(args.run / "last.pt", tuned=tuned, network=interpolate(start, tuned, args.share)).save(args.epochs)


def load_trained(run: Path = RUN, part: Literal["network", "tuned"] = "network") -> DetectionModel:
    """The network that ships, or the fully tuned one.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    network = one_class_network()
    Checkpoint(run / "last.pt", **{part: network}).load(made_by="python -m trainers.detector.train")
    return network.eval()


if __name__ == "__main__":
    main()
