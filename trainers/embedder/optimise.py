"""Which weights learn, and how fast."""

from __future__ import annotations

from typing import Any

import torch
from timm.models import group_parameters
from timm.optim import param_groups_layer_decay
from torch import nn

from ..runs import TrainingError
from .objective import Objective
from .recipe import Recipe

BACKBONE, PROJECTION, CLASSES = "backbone", "projection", "classes"  # names of parameter groups
WEIGHT_DECAY = 0.01
LOSS_RATE = 10.0  # class weights take no part in the embedding: they may move fast


def optimiser_of(objective: Objective, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over the layers that learn, each at its own rate, and over the losses' own weights."""
    backbone, projection = objective.network.backbone, objective.network.projection
    freeze_first_layers(backbone, recipe.trained_layers)
    groups: list[dict[str, Any]] = param_groups_layer_decay(backbone, WEIGHT_DECAY, layer_decay=recipe.layer_decay)
    for group in groups:
        group |= {"name": BACKBONE, "lr": recipe.lr * group.pop("lr_scale")}
    for name, module, rate in ((PROJECTION, projection, 1.0), (CLASSES, objective.losses, LOSS_RATE)):
        groups.append({"name": name, "params": list(module.parameters()), "lr": rate * recipe.lr, "weight_decay": 0.0})
    return torch.optim.AdamW([group for group in groups if group["params"]])


def freeze_first_layers(backbone: nn.Module, trained: int) -> None:
    """Let only the last ``trained`` groups of layers learn; 0: all.

    Edges and textures need no retraining, and most of the time would go into their gradients. timm says for every
    backbone which layers belong together: for EfficientNet the stem and seven stages of blocks.

    Raises:
        TrainingError: the backbone has fewer groups.
    """
    groups = layer_groups(backbone)
    if trained > len(groups):
        raise TrainingError(
            f"--trained-layers {trained}: the backbone has {len(groups)} groups of layers", "Take fewer, or 0 for all"
        )
    parameters = dict(backbone.named_parameters())
    for number, names in enumerate(groups):
        for name in names:
            parameters[name].requires_grad_(trained == 0 or number >= len(groups) - trained)


def layer_groups(backbone: Any) -> list[list[str]]:
    """The names of the parameters by groups of layers, first to last."""
    groups = group_parameters(backbone, backbone.group_matcher(coarse=True))
    return [groups[number] for number in sorted(groups)]


def learning_rate(optimiser: torch.optim.Optimizer) -> float:
    """The projection's rate now, of which every other one is a fixed share."""
    return next(float(group["lr"]) for group in optimiser.param_groups if group["name"] == PROJECTION)
