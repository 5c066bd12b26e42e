"""Fine-tune the embedder's backbone on photos without identities: ``python -m trainers.embedder.train``.

Two random views of one photo shall be close and views of other photos, many of them of the same breed, far (NT-Xent:
Chen et al., 2020, "A simple framework for contrastive learning", https://arxiv.org/abs/2002.05709). A classifier of
breeds holds against it that dogs that look alike stay neighbours.

Interrupted and started again, the same command continues from the last whole epoch in ``runs/embedder_tuned``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss, NTXentLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from rich.progress import track
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from immich_dog_plugin.imaging import read_photo

from ..data.duplicates import SeenPhotos, measuring_photos
from ..data.identity import breed_photos
from ..runs import Checkpoint, one_cycle, start_run
from ..specs import RECOGNITION
from .dataset import ViewPairs
from .network import FEATURES, backbone_network

log = logging.getLogger(__name__)
RUN = Path("runs/embedder_tuned")
# Edges and textures need no retraining, and most of the time would go into the gradients of these layers.
FROZEN = ("conv_stem", "bn1", "blocks.0.", "blocks.1.", "blocks.2.", "blocks.3.")
PHOTOS_PER_BREED = 4  # in a batch: other dogs of the same breed are the hardest to tell apart


def main() -> None:
    """Train and leave the averaged weights in ``runs/embedder_tuned/last.pt``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="nothing that looks like it is used")
    parser.add_argument("--breeds", type=Path, default=Path("datasets/stanford_dogs"), help="a folder per breed")
    parser.add_argument("--breed-photos", type=int, default=10000, help="how many of them, drawn at random")
    parser.add_argument("--run", type=Path, default=RUN, help="where the checkpoint and the log go")
    parser.add_argument("--side", type=int, default=224, help="of the input, in pixels")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50, help="in an epoch")
    parser.add_argument("--batch", type=int, default=32, help="photos, each seen twice")
    parser.add_argument("--lr", type=float, default=2e-4, help="of the backbone")
    parser.add_argument("--breed-weight", type=float, default=0.3, help="of the classifier's loss")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    start_run(args.run, args.seed, args.threads)

    pairs = ViewPairs(
        training_photos(args.breeds, args.data, args.breed_photos, args.seed),
        RECOGNITION.input.model_copy(update={"side": args.side}),
    )
    breeds = len(set(pairs.breeds))
    log.info("%d photos of %d breeds", len(pairs), breeds)
    sampler = MPerClassSampler(pairs.breeds, PHOTOS_PER_BREED, args.batch, args.batch * args.steps)
    loader = DataLoader(pairs, args.batch, sampler=sampler, num_workers=1, persistent_workers=True)
    backbone = backbone_network().to(memory_format=torch.channels_last)
    tuning = Tuning(backbone, breeds, args.breed_weight)
    averaged = AveragedModel(backbone, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    # The classifier starts from nothing and has only these steps.
    groups = [{"params": freeze(backbone), "lr": args.lr}, {"params": tuning.by_breed.parameters(), "lr": 50 * args.lr}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = one_cycle(optimiser, args.epochs * len(loader))
    checkpoint = Checkpoint(
        args.run / "last.pt", tuning=tuning, averaged=averaged, optimiser=optimiser, schedule=schedule
    )
    for epoch in range(checkpoint.resume(), args.epochs):
        by_photo, by_breed = train_epoch(tuning, averaged, loader, optimiser, schedule)
        checkpoint.save(epoch + 1)
        log.info("epoch %d of %d: pairs %.3f, breeds %.3f", epoch + 1, args.epochs, by_photo, by_breed)


class Tuning(nn.Module):
    """The backbone and its two losses."""

    def __init__(self, backbone: nn.Module, breeds: int, breed_weight: float, features: int = FEATURES) -> None:
        super().__init__()
        self.backbone = backbone
        self.by_photo = NTXentLoss(temperature=0.1)
        self.by_breed = NormalizedSoftmaxLoss(breeds, features, temperature=0.05)
        self.breed_weight = breed_weight

    def forward(self, views: Tensor, photos: Tensor, breeds: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of pairs and the weighted loss of breeds.

        Args:
            views: ``(n, 2, 3, side, side)``, two of each photo.
            photos: ``(n,)``, the number of each photo.
            breeds: ``(n,)``, the number of its breed.
        """
        features = self.backbone(views.flatten(0, 1).to(memory_format=torch.channels_last))
        by_photo: Tensor = self.by_photo(features, photos.repeat_interleave(2))
        by_breed: Tensor = self.by_breed(features, breeds.repeat_interleave(2))
        return by_photo, self.breed_weight * by_breed


def train_epoch(
    tuning: Tuning,
    averaged: AveragedModel,
    loader: DataLoader[tuple[Tensor, int, int]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> tuple[float, float]:
    """One pass over the loader; returns the two mean losses."""
    # ImageNet's statistics are better than those of a small batch.
    tuning.eval()
    totals = np.zeros(2)
    for views, photos, breeds in loader:
        losses = tuning(views, photos, breeds)
        optimiser.zero_grad(set_to_none=True)
        sum(losses).backward()
        nn.utils.clip_grad_norm_(tuning.backbone.parameters(), max_norm=5.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(tuning.backbone)
        totals += [loss.item() for loss in losses]
    by_photo, by_breed = totals / len(loader)
    return float(by_photo), float(by_breed)


def training_photos(breeds: Path, data: Path, count: int, seed: int) -> list[Path]:
    """``count`` breed photos at random, without those that look like a photo that measures."""
    files = breed_photos(breeds)
    drawn = [files[index] for index in np.random.default_rng(seed).permutation(len(files))[:count]]
    seen = SeenPhotos(measuring_photos(data))
    return [file for file in track(drawn, description="Photos") if read_photo(file) not in seen]


def freeze(backbone: nn.Module) -> list[nn.Parameter]:
    """Freeze the first layers; the parameters that are left to train."""
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(not name.startswith(FROZEN))
    return [parameter for parameter in backbone.parameters() if parameter.requires_grad]


def load_tuned(run: Path = RUN) -> nn.Module:
    """The averaged backbone of a run.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    averaged = AveragedModel(backbone_network(pretrained=False))
    Checkpoint(run / "last.pt", averaged=averaged).load(made_by="python -m trainers.embedder.train")
    backbone: nn.Module = averaged.module
    return backbone.eval()


if __name__ == "__main__":
    main()
