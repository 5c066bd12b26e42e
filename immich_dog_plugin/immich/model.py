"""What the three dog models share: where their files are, how they are loaded, what they are given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from fastapi import HTTPException
from immich_ml.config import log, settings
from immich_ml.models.base import InferenceModel
from immich_ml.schemas import ModelFormat, ModelSession
from PIL import Image

from ..contract import TASK
from ..errors import DogPluginError, ModelPackageError
from ..manifest import Manifest, StageName
from ..model_package import ModelPackage
from ..pyramid import Pyramid
from ..settings import PhotoLimit
from ..stages.session import Session, check_graph
from .options import as_keywords
from .package_cache import (
    bundled_package,
    copy_package,
    holds_package,
    is_outdated,
    remove_abandoned,
)
from .session import open_session

_PYRAMID = "_immich_dogs_pyramid"  # attribute of a decoded photo, gone with the request
_not_written: set[tuple[Path, int | None]] = set()  # folders that a warning of this process named, by what was wrong


class DogModel(InferenceModel):  # type: ignore[misc]  # typed only where Immich is
    """A stage of the dog pipeline as a model of the service, on whatever provider the service's session picks."""

    stage_name: ClassVar[StageName]

    def __init__(self, model_name: str, /, **_: Any) -> None:
        # The other arguments are the options of whichever request came first. None of them is for the model, which
        # later requests share; the base class would even take its cache folder from them.
        super().__init__(model_name)

    def predict(self, /, *inputs: Any, **options: Any) -> Any:
        """One inference. Options go along with the call and not through ``configure``: requests run in parallel.

        Raises:
            HTTPException: 500, the model does not do what its package promises.
        """
        self.load()
        try:
            return self._predict(*inputs, **as_keywords(options))
        except DogPluginError as error:
            raise HTTPException(500, str(error)) from error

    def load(self) -> None:
        """Load the model unless it is loaded. The service gives a model up for good after two attempts; a dog model
        may be asked for again, because somebody may have put its package back or freed the disk.

        Raises:
            HTTPException: 500, says why it cannot be loaded.
        """
        self.load_attempts = 0
        super().load()

    def download(self) -> None:
        """Nothing: loading finds the package."""

    def clear_cache(self) -> None:
        """Nothing: loading replaces what the plugin put into the cache, and what the user put there is not ours."""

    @abstractmethod
    def _build(self, session: Session, manifest: Manifest) -> None:
        """Set the stage up on its session."""

    def _load(self) -> ModelSession:
        reasons = []
        for folder in self._folders():
            try:
                return self._open(folder)
            except ModelPackageError as error:
                log.warning(str(error))
                reasons.append(error)
        raise HTTPException(500, str(reasons[0]))

    def _folders(self) -> Iterator[Path]:
        """Where to load from, best first: the cache, the cache with the plugin's package put there anew, the plugin."""
        bundled = bundled_package(self.model_name)
        remove_abandoned(self.cache_dir.parent)
        if bundled is None:
            yield self.cache_dir
            return
        if holds_package(self.cache_dir) and not is_outdated(self.cache_dir, bundled):
            yield self.cache_dir
        try:
            copy_package(bundled, self.cache_dir)
            yield self.cache_dir
        except OSError as error:  # a full disk, no permission, or another worker of the service was faster
            # Three models meet it, and meet it again whenever they are loaded.
            if (self.cache_dir, error.errno) not in _not_written:
                _not_written.add((self.cache_dir, error.errno))
                log.warning(
                    f"The dog models cannot be put into {self.cache_dir} ({error}); those of the plugin are used"
                )
        yield bundled

    def _open(self, folder: Path) -> ModelSession:
        """Load this stage of the package in ``folder``.

        Raises:
            ModelPackageError: it is missing, not what its manifest says, or nothing that the service can run.
        """
        package = ModelPackage.read(folder)
        # Immich's session takes a path, so the file is read again: who can change it between the two can change the
        # manifest as well. Other files it cannot bring in: a graph that keeps weights elsewhere is refused.
        package.verify_stage(self.stage_name)
        file = package.model_path(self.stage_name)
        try:
            session: ModelSession = open_session(file, package.manifest.stage(self.stage_name).sha256)
        except Exception as error:  # ONNX Runtime's own exceptions share no base class of their own
            raise ModelPackageError(
                f"The model {file} cannot be loaded ({error})", "Put another package there"
            ) from error
        check_graph(session, package, self.stage_name)
        self._build(session, package.manifest)
        return session

    @property
    def _cache_dir_default(self) -> Path:
        folder: Path = (
            settings.cache_folder / TASK / self.model_name
        )  # v3.3 may add the revision of Immich's own models
        return folder

    @property
    def _model_format_default(self) -> ModelFormat:
        return ModelFormat.ONNX  # in ARM NN and RKNN images too: dog models come in no other format


def to_photo(payload: Image.Image | str, *, is_last: bool = False) -> Pyramid:
    """The photo as the service decoded it, with the halvings that the three models share.

    It is not turned: the answer's boxes, and its ``imageWidth``, are those of the photo as it was sent, and Immich's
    server sends upright previews.

    Args:
        is_last: whether no other model of the request asks for it. The rest of the request, which may go on for long,
            then no longer holds a second copy of the pixels.

    Raises:
        HTTPException: 400, the request brought a text; 422, the photo is larger than the setting allows.
    """
    if isinstance(payload, str):
        raise HTTPException(400, f"{TASK} needs an image, not a text")
    # Three models look at a photo, and Pillow copies all of it each time that it is asked for its pixels.
    pyramid: Pyramid | None = getattr(payload, _PYRAMID, None)
    if pyramid is None:
        _refuse_huge(payload)
        pyramid = Pyramid(np.asarray(payload if payload.mode == "RGB" else payload.convert("RGB"), dtype=np.uint8))
    if is_last:
        vars(payload).pop(_PYRAMID, None)
    else:
        setattr(payload, _PYRAMID, pyramid)
    return pyramid


def _refuse_huge(photo: Image.Image) -> None:
    limit = PhotoLimit().max_megapixels  # no model would have loaded if it were wrong
    megapixels = photo.width * photo.height / 1e6
    if megapixels > limit:
        raise HTTPException(
            422,
            f"The photo has {photo.width} x {photo.height} pixels ({megapixels:.4g} megapixels), and the limit is "
            f"{limit:.4g}. Send it smaller, or raise IMMICH_DOGS_MAX_MEGAPIXELS if the memory allows",
        )
