"""A model package on disk: three ONNX graphs and the manifest that says everything about using them.

Layout, the same as in Immich's model cache::

    <name>/manifest.json
    <name>/detection/model.onnx
    <name>/keypoint/model.onnx
    <name>/recognition/model.onnx
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from .errors import ModelPackageError
from .manifest import MANIFEST, STAGE_NAMES, Manifest, StageName
from .settings import Settings

DEFAULT_PACKAGE = "dog-identification-v1"
# A tensor whose values lie in another file names it in an entry with this key (ONNX, TensorProto.external_data): field
# 1 of a protobuf message, 8 bytes long. Immich's image has nothing that reads graphs, and it need not: that weights
# hold these ten bytes by chance happens to one package in 10^16.
_EXTERNAL_DATA = b"\x0a\x08location"


class ModelPackage:
    """A model package on disk. ``open`` it by name or path; ``verify`` compares every checksum."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, name_or_path: str | Path = DEFAULT_PACKAGE) -> Self:
        """Find a package, read its manifest and verify its files.

        Raises:
            ModelPackageError: not found, manifest unreadable, a file missing or with another checksum.
        """
        package = cls.read(find_package(name_or_path))
        package.verify()
        return package

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the manifest of the package in the folder ``path`` without looking at the graphs."""
        file = path / MANIFEST
        try:
            return cls(path, Manifest.model_validate_json(file.read_bytes()))
        except OSError as error:
            raise ModelPackageError(f"The manifest {file} cannot be read ({error.strerror})", _REINSTALL) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ModelPackageError(f"The manifest {file} is not valid: {where}: {first['msg']}", _REINSTALL) from error

    def model_path(self, stage: StageName) -> Path:
        return self.path / stage / "model.onnx"

    def verify(self) -> None:
        """Compare each graph with its checksum in the manifest.

        Raises:
            ModelPackageError: names the first file that is missing, differs or is not all of its graph.
        """
        for stage in STAGE_NAMES:
            self.verify_stage(stage)

    def verify_stage(self, stage: StageName) -> None:
        """Compare the graph of one stage with its checksum."""
        self.read_graph(stage)

    def read_graph(self, stage: StageName) -> bytes:
        """The graph of one stage, all of it: the bytes that its checksum in the manifest belongs to.

        Raises:
            ModelPackageError: the file is missing, differs, or keeps weights in another file.
        """
        file = self.model_path(stage)
        try:
            graph = file.read_bytes()
        except OSError as error:
            raise ModelPackageError(f"The model {file} cannot be read ({error.strerror})", _REINSTALL) from error
        found = hashlib.sha256(graph).hexdigest()
        if found != self.manifest.stage(stage).sha256:
            raise ModelPackageError(
                f"The model {file} is corrupted: its sha256 {found[:12]}… is not the manifest's "
                f"{self.manifest.stage(stage).sha256[:12]}…",
                _REINSTALL,
            )
        if _EXTERNAL_DATA in graph:
            raise ModelPackageError(
                f"The model {file} keeps weights in another file, which no checksum covers",
                "Save it as one file: onnx.save(onnx.load(FILE), FILE), and write its sha256 into the manifest",
            )
        return graph

    @cached_property
    def fingerprint(self) -> str:
        """Identifies everything that decides an embedding (graphs, preprocessing, crops, version), 16 hex digits."""
        silent = {"metrics", "training_data", "git_revision", "thresholds", "calibration", "people"}
        return hashlib.sha256(self.manifest.model_dump_json(exclude=silent).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.manifest.name} {self.manifest.version}"


_REINSTALL = (
    "Put the package back: reinstall immich-dog-plugin, or copy artifacts/<name> from its repository "
    "and point IMMICH_DOGS_MODELS at the folder that holds it"
)


def package_folders() -> list[Path]:
    """The folders that may hold packages, in the order they are searched."""
    here = Path(__file__).parent
    configured = Settings().models
    # The second of the last two is the repository's own folder, there in a checkout or an editable install.
    return [*([configured] if configured else []), here / "artifacts", here.parent / "artifacts"]


def available_packages() -> dict[str, Path]:
    """Every package found by name; the first folder in ``package_folders`` wins."""
    found: dict[str, Path] = {}
    for folder in package_folders():
        for manifest in _manifests(folder):
            found.setdefault(manifest.parent.name, manifest.parent)
    return found


def _manifests(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob(f"*/{MANIFEST}"))
    except OSError:  # it may not be entered: whoever asks for a package is told where it was looked for
        return []


def find_package(name_or_path: str | Path) -> Path:
    """The folder of a package, given its name or a path to it.

    Raises:
        ModelPackageError: there is none; names the packages there are.
    """
    path = Path(name_or_path)
    # Path.is_file raises where a folder may not be entered, or the name is longer than a file system takes.
    if os.path.isfile(path / MANIFEST):  # noqa: PTH113
        return path
    packages = available_packages()
    if str(name_or_path) in packages:
        return packages[str(name_or_path)]
    known = ", ".join(packages) or "none"
    searched = ", ".join(str(folder) for folder in package_folders())
    raise ModelPackageError(
        f"There is no model package '{name_or_path}' (found: {known}; searched: {searched})",
        "Name one of those found, give a folder that holds a manifest.json, or set IMMICH_DOGS_MODELS",
    )
