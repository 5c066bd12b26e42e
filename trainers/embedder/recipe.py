"""What a run is made of: everything that changes its result."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from immich_dog_plugin.manifest import InputSpec

from ..runs import TrainingError
from .losses import MARGIN, LossName, MinerName
from .network import IMAGENET, SHIPPED, Architecture, Pooling

Negatives = Literal["look-alikes", "random"]
ViewsOf = Literal["photo", "dog"]
RUN = Path("runs/embedder_tuned")
START, LAST, BEST = "start.pt", "last.pt", "best.pt"  # in the folder of a run
VIEWS = 32  # photos in a batch of --loss views


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of ``python -m trainers.embedder.train`` that change what comes out."""

    loss: Annotated[LossName, "over known dogs; views: none, views of each breed photo alone"] = "arcface"
    margin: Annotated[float | None, "degrees for arcface, subcenter (28.6); for triplet distance (0.2)"] = None
    scale: Annotated[float, "of the cosines in arcface and subcenter"] = 64.0
    miner: Annotated[MinerName, "which triplets count"] = "semihard"
    negatives: Annotated[Negatives, "dogs that meet in a batch: of one breed or near each other, or any"] = (
        "look-alikes"
    )
    dogs: Annotated[int, "in a batch"] = 16
    photos: Annotated[int, "of each of these dogs in a batch"] = 4
    views: Annotated[int, f"breed photos in a batch, each in several views; {VIEWS} with --loss views"] = 0
    views_of: Annotated[
        ViewsOf, "photo: two parts of it; dog: its body and face, twice each, where trainers.data.find_dogs found them"
    ] = "photo"
    views_per_breed: Annotated[int, "of these photos, so many of each breed"] = 4
    view_weight: Annotated[float, "of the loss of views"] = 1.0
    breed_weight: Annotated[float, "of the loss of breeds, over pictures of known breed"] = 0.3
    breed_photos: Annotated[int, "how many breed photos are used, drawn at random"] = 10000
    teacher: Annotated[str | None, "folder of another run of this command, to whose cosines to stay close"] = None
    teacher_weight: Annotated[float, "of that"] = 10.0
    backbone: Annotated[str, "any of timm's, by name"] = SHIPPED.backbone
    weights: Annotated[str, "to start from: imagenet (of tf_efficientnet_lite0 to 2), random, or a file"] = IMAGENET
    pooling: Annotated[Pooling, "of the last feature map; token: a transformer's class token"] = "average"
    side: Annotated[int | None, "of the input in pixels; the backbone's own by default"] = None
    train_side: Annotated[int | None, "of the pictures that train; --side by default"] = None
    trained_layers: Annotated[int, "how many of the backbone's last groups of layers learn; 0: all"] = 3
    epochs: Annotated[int, "at most; 0 leaves the network as it starts"] = 10
    steps: Annotated[int | None, "in an epoch; by default one pass over the photos"] = None
    patience: Annotated[int, "epochs without a better one after which the run stops"] = 3
    lr: Annotated[float, "learning rate of the last layers"] = 2e-4
    layer_decay: Annotated[float, "each layer learns at this share of the next one's rate"] = 0.9
    ema: Annotated[float, "decay per step of the averaged weights, which are measured and kept"] = 0.98
    share: Annotated[float, "of the way from the starting to the averaged weights: what is measured and kept"] = 1.0
    seed: Annotated[int, "of everything that is drawn at random"] = 1

    def __post_init__(self) -> None:
        """Fill in what depends on the loss."""
        if self.loss == "views" and not self.views:
            object.__setattr__(self, "views", VIEWS)
        if self.margin is None and self.loss != "views":
            object.__setattr__(self, "margin", MARGIN[self.loss])

    @property
    def train_input(self) -> InputSpec:
        """How pictures are read while training."""
        spec = self.architecture.input
        return spec.model_copy(update={"side": self.train_side or spec.side})

    @property
    def architecture(self) -> Architecture:
        """The network's shape."""
        return Architecture(self.backbone, self.pooling, self.side)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Compare with the recipe that a checkpoint was made by.

        Raises:
            TrainingError: it is another; names what differs.
        """
        changes = [
            f"--{name.replace('_', '-')} was {state_dict.get(name)} and is {value}"
            for name, value in asdict(self).items()
            if state_dict.get(name) != value
        ]
        if changes:
            raise TrainingError(
                f"The run was started with other options: {', '.join(changes)}",
                "Give the same again to continue it, or another folder with --run",
            )


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for every field of ``Recipe``."""
    hints = get_type_hints(Recipe, include_extras=True)
    for part in fields(Recipe):
        hint, meaning = get_args(hints[part.name])
        accepted: dict[str, Any] = {"choices": get_args(hint)}
        if get_origin(hint) is not Literal:
            accepted = {"type": next(kind for kind in (*get_args(hint), hint) if kind is not type(None))}
        parser.add_argument(f"--{part.name.replace('_', '-')}", default=part.default, help=meaning, **accepted)


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The recipe that the options say.

    Raises:
        TrainingError: an option makes no sense.
    """
    recipe = Recipe(**{part.name: getattr(args, part.name) for part in fields(Recipe)})
    if recipe.teacher and not Path(recipe.teacher).is_dir():
        raise TrainingError(f"There is no run {recipe.teacher} to learn from", "Train it first, or leave --teacher out")
    each = recipe.views_per_breed
    if each < 1 or recipe.views % each:
        raise TrainingError(
            f"--views {recipe.views} is no multiple of --views-per-breed {each}",
            f"Take --views {recipe.views // max(each, 1) * max(each, 1) + max(each, 1)}",
        )
    return recipe
