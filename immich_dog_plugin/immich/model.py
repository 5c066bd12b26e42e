"""What the three dog models share: where their files are, how they are loaded, what they are given."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from fastapi import HTTPException
from immich_ml.models.base import InferenceModel
from immich_ml.schemas import ModelFormat, ModelSession
from PIL import Image

from ..contract import TASK
from ..errors import ModelPackageError
from ..geometry import ImageArray
from ..model_package import Manifest, ModelPackage, StageName
from ..stages.session import Session
from .package_cache import bundled_package, copy_package, is_outdated, require_package
from .session import one_by_one_where_needed


class DamagedPackageError(OSError):
    """A package in the cache is not what its manifest says, and the plugin holds a good one.

    The service answers an ``OSError`` while loading by clearing the model's cache and loading again.
    """


class DogModel(InferenceModel):  # type: ignore[misc]  # typed only where Immich is
    """A stage of the dog pipeline as a model of the service, on whatever provider the service's session picks."""

    stage_name: ClassVar[StageName]

    def __init__(self, model_name: str, **_: Any) -> None:
        # The other arguments are the options of whichever request came first. None of them is for the model, which
        # later requests share; the base class would even take its cache folder from them.
        super().__init__(model_name)

    def predict(self, *inputs: Any, **options: Any) -> Any:
        """One inference. Options go along with the call and not through ``configure``: requests run in parallel."""
        self.load()
        return self._predict(*inputs, **options)

    @abstractmethod
    def _build(self, session: Session, manifest: Manifest) -> None:
        """Set the stage up on its session."""

    def _load(self) -> ModelSession:
        try:
            package = ModelPackage.read(self.cache_dir)
            package.verify_stage(self.stage_name)
        except ModelPackageError as error:
            if bundled_package(self.model_name) is None:  # to clear the cache would destroy what the user put there
                raise HTTPException(500, str(error)) from error
            raise DamagedPackageError(str(error)) from error
        session: ModelSession = self._make_session(self.model_path)
        self._build(one_by_one_where_needed(session), package.manifest)
        return session

    @property
    def cached(self) -> bool:
        """Whether the package is in the cache and no newer one came with the plugin."""
        bundled = bundled_package(self.model_name)
        return super().cached and (bundled is None or not is_outdated(self.cache_dir, bundled))

    def _download(self) -> None:
        bundled = bundled_package(self.model_name)
        if bundled is None:
            require_package(self.model_name)
            return  # a package of the user's own, with this stage's file missing: loading it says so
        copy_package(bundled, self.cache_dir)

    @property
    def _model_format_default(self) -> ModelFormat:
        return ModelFormat.ONNX  # in ARM NN and RKNN images too: dog models come in no other format


def to_photo(payload: Image.Image | str) -> ImageArray:
    """The photo ``(height, width, 3)`` as the service decoded it. It is not turned: the answer's boxes, and its
    ``imageWidth``, are those of the photo as it was sent, and Immich's server sends upright previews.

    Raises:
        HTTPException: 400, the request brought a text.
    """
    if isinstance(payload, str):
        raise HTTPException(400, f"{TASK} needs an image, not a text")
    return np.array(payload.convert("RGB"), dtype=np.uint8)
