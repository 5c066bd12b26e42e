"""ultralytics as its two trainers here use it: on the CPU, continuing in the folder of the run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn


def last_epoch(run: Path) -> Path:
    """What ultralytics leaves after every epoch; missing before the first."""
    return run / "ultralytics" / "weights" / "last.pt"


def run_options(args: argparse.Namespace, network: str, data: Path) -> dict[str, Any]:
    """What every run has in common, for ultralytics' ``overrides``: a run that was interrupted continues.

    Args:
        args: with ``run``, ``side``, ``epochs``, ``batch``, ``lr`` and ``seed``.
        network: ultralytics' name of its architecture.
        data: the ``data.yaml`` of the photos.
    """
    last = last_epoch(args.run)
    return {
        "model": str(last) if last.is_file() else network,
        "resume": str(last) if last.is_file() else False,
        "data": str(data),
        "project": str(args.run.absolute()),
        "name": "ultralytics",
        "exist_ok": True,
        "imgsz": args.side,
        "epochs": args.epochs,
        "batch": args.batch,
        "nbs": args.batch,
        "seed": args.seed,
        "device": "cpu",
        "workers": 1,
        "amp": False,
        "plots": False,
        "optimizer": "AdamW",
        "lr0": args.lr,
        "warmup_epochs": 0.3,
        "warmup_bias_lr": 0.0,
    }


def averaged_network(last: Path) -> nn.Module:
    """The averaged network of a run that has ended."""
    # At the end ultralytics leaves it under "model"; the file is our own, hence no weights_only.
    network: nn.Module = torch.load(last, map_location="cpu", weights_only=False)["model"].float()
    return network
