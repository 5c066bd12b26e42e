"""Errors that tell a user the cause and the cure."""

from __future__ import annotations


class DogPluginError(Exception):
    """Something a user can act on.

    Args:
        cause: what is wrong, naming the file or value.
        cure: what to do about it.
    """

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(f"{cause}\n{cure}" if "\n" in cause else f"{cause}. {cure}")
        self.cause = cause
        self.cure = cure


class PhotoError(DogPluginError):
    """A photo that cannot be read; the others are not affected."""


class ModelPackageError(DogPluginError):
    """A model package that is missing, incomplete, corrupted or not what its manifest says."""


class InstallationError(DogPluginError):
    """An installation whose parts do not fit together."""


class DoubtfulInstallationError(InstallationError):
    """An installation that fits as far as can be seen, and may not be what the user wants."""


class MissingPackageError(DogPluginError):
    """A command needs a package that the base install leaves out."""

    def __init__(self, packages: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {packages}, which is not installed", f"Install it with: pip install {packages}"
        )


class OutputError(DogPluginError):
    """A result that cannot be written (full disk, no permission)."""


class PatchError(DogPluginError):
    """A tree that the patch does not fit."""


class UpstreamError(DogPluginError):
    """Immich's sources or their dependencies cannot be had here."""


class ServiceError(DogPluginError):
    """A service that does not answer, or not as the contract says."""


class EvaluationError(DogPluginError):
    """Photos or embeddings from which no figure can be read."""
