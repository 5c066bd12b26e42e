"""The network that a run of ``trainers.keypoints.train`` leaves."""

from __future__ import annotations

from pathlib import Path

from torch.optim.swa_utils import AveragedModel

from ..runs import Checkpoint
from .network import KeypointNetwork, keypoint_network

RUN = Path("runs/keypoints")


def load_trained(run: Path = RUN) -> KeypointNetwork:
    """The averaged weights of a run.

    Raises:
        FileNotFoundError: there is no checkpoint; says which command makes one.
    """
    network = keypoint_network(pretrained=False)
    averaged = AveragedModel(network, use_buffers=True)
    Checkpoint(run / "last.pt", averaged=averaged).load(made_by="python -m trainers.keypoints.train")
    return averaged.module.eval()
