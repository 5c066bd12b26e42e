"""Fine-tune the detector through ultralytics: ``python -m trainers.detector.train``.

Interrupted and started again, the same command continues from the last whole epoch in ``runs/detector``. After the
last, ``--share`` decides anew how far from the starting to the tuned weights the network lies that is kept.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel

from immich_dog_plugin.files import whole_file

from ..interpolate import interpolate
from ..records import FILE as RECORD
from ..records import Counts, Recorder, known_record, options_of
from ..runs import Checkpoint
from ..starting_weights import WEIGHTS, yolov8n_state
from ..yolo import averaged_network, last_epoch, run_options
from .network import one_class_network
from .prepare import DATASET

RUN = Path("runs/detector")
BACKBONE = 10  # layers, of YOLOv8's 23
# What is set below beside the options, for the record.
RECORDED = ("freeze", "optimizer", "lrf", "warmup_epochs", "weight_decay", "mosaic", "scale", "close_mosaic", "degrees")


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
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the way from the starting to the tuned weights")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    if (args.run / "last.pt").is_file():
        keep_share(args.run, args.share)
        print(f"{args.run} holds a finished run; the network that it keeps is now {args.share} of the way to it")
        print("Remove the folder, or name another with --run, to train anew")
        return
    continues = last_epoch(args.run).is_file()
    trainer = DogTrainer(
        overrides=run_options(args, "yolov8n.yaml", args.dataset / "data.yaml")
        | {
            # The backbone, which also learned what other animals look like, stays as it is.
            "freeze": BACKBONE,
            "lrf": 0.05,
            "weight_decay": 1e-4,
            # Dogs of all sizes: mosaics of four photos, each scaled by 0.3 to 1.7, to the end.
            "mosaic": 0.7,
            "scale": 0.7,
            "close_mosaic": 0,
            "degrees": 8.0,
        }
    )
    recipe = options_of(args) | {name: getattr(trainer.args, name) for name in RECORDED}
    recorder = Recorder(args.run, "trainers.detector.train", recipe, continues=continues)
    trainer.add_callback("on_model_save", lambda at: note_epoch(recorder, at))
    trainer.train()
    save(args.run, averaged_network(trainer.last), args.share, args.epochs)


def save(run: Path, tuned: nn.Module, share: float, epochs: int) -> None:
    """Leave the tuned network and the one ``share`` of the way to it in ``last.pt``."""
    start = one_class_network(yolov8n_state(WEIGHTS))
    Checkpoint(run / "last.pt", tuned=tuned, network=interpolate(start, tuned, share)).save(epochs)


def keep_share(run: Path, share: float) -> None:
    """Let a finished run keep another share, in its checkpoint and in its record."""
    tuned = one_class_network()
    epochs = Checkpoint(run / "last.pt", tuned=tuned).load()
    save(run, tuned, share, epochs)
    record = known_record(run)
    if record is not None:
        rewritten = record.model_copy(update={"recipe": record.recipe | {"share": share}})
        with whole_file(run / RECORD) as partial:
            partial.write_text(rewritten.model_dump_json(indent=1) + "\n", encoding="utf-8")


def note_epoch(recorder: Recorder, trainer: DogTrainer) -> None:
    """Record an epoch that ultralytics has just measured and saved."""
    epoch = trainer.epoch + 1
    # What the loaders hold, not what the folder does: ultralytics may leave photos out.
    loaders = {"train": trainer.train_loader, "val": trainer.test_loader}
    recorder.data = {use: counts(loader.dataset.labels) for use, loader in loaders.items()}
    metrics = {
        name.removeprefix("metrics/").removesuffix("(B)"): round(float(value), 4)
        for name, value in trainer.metrics.items()
        if name.startswith("metrics/")
    }
    recorder.history.append({"epoch": epoch, "figures": metrics})
    recorder.write(epochs=epoch, kept_epoch=epoch, validation={"tuned all the way": metrics})


def counts(labels: Sequence[dict[str, Any]]) -> dict[str, Counts]:
    """Photos and dogs by source, which the name of each photo starts with: see ``prepare``."""
    photos: Counter[str] = Counter()
    dogs: Counter[str] = Counter()
    for label in labels:
        source = Path(label["im_file"]).name.partition("_")[0]
        photos[source] += 1
        dogs[source] += len(label["cls"])
    return {source: Counts(photos=photos[source], dogs=dogs[source]) for source in sorted(photos)}


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
