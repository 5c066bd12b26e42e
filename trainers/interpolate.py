"""Weights part of the way from a starting to a tuned network, and in the middle of several."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def interpolate(start: Network, tuned: Network, share: float) -> Network:
    """A network whose weights are ``share`` of the way from ``start`` to ``tuned``.

    Fine-tuning on a few thousand photos makes a network forget some of what it was trained to tell apart; part of the
    way keeps most of both (Wortsman et al., 2022, "Robust fine-tuning of zero-shot models",
    https://arxiv.org/abs/2109.01903).
    """
    network = copy.deepcopy(start)
    tuned_state = tuned.state_dict()
    network.load_state_dict(
        {
            name: torch.lerp(weight, tuned_state[name], share) if weight.is_floating_point() else weight
            for name, weight in start.state_dict().items()
        }
    )
    return network


def average(networks: Sequence[Network]) -> Network:
    """A network whose weights are the mean of those of ``networks``, which were tuned from one start.

    What the seed decided averages out, at the cost of one network (Wortsman et al., 2022, "Model soups",
    https://arxiv.org/abs/2203.05482).
    """
    network = copy.deepcopy(networks[0])
    states = [one.state_dict() for one in networks]
    network.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(dim=0) if weight.is_floating_point() else weight
            for name, weight in states[0].items()
        }
    )
    return network
