"""Whether an installation is whole: what the build of an image ends with, and what to run when something is wrong.

Each check raises a ``DogPluginError`` that names the cause and the cure, or returns what it found.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pydantic import ValidationError

from . import patching
from .contract import TASK
from .errors import DogPluginError, DoubtfulInstallationError, InstallationError, ModelPackageError
from .geometry import FloatArray
from .hardware import check_hardware, providers_ready
from .manifest import STAGE_NAMES, StageName
from .model_package import DEFAULT_PACKAGE, ModelPackage, available_packages, find_package
from .people import people_exponent
from .releases import check_release
from .settings import Settings, setting_error
from .stages.session import CPU, open_stage, run

DISTRIBUTION = "immich-dog-plugin"
PLUGIN_GROUP = "immich_ml."  # the patched service asks the entry points of groups that begin so


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    WARNING = "WARNING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        part: of the installation.
        detail: what was found, or why it does not fit.
        verdict: whether it fits.
    """

    part: str
    detail: str
    verdict: Verdict


def check_installation(tree: Path | None = None) -> Iterator[Finding]:
    """Check one part after the other; a part that does not fit keeps none of the others from being checked.

    Args:
        tree: Immich's ML service, which the plugin is installed into; ``None`` for the plugin alone.
    """
    parts: dict[str, Callable[[], str]] = {"dependencies": check_dependencies}
    if tree is not None:
        parts |= {"release": check_release, "hardware": check_hardware}
        parts |= {"patch": partial(check_patch, tree), "service": partial(check_service, tree)}
    packages = available_packages()
    parts["models"] = partial(check_default_package, packages)
    parts |= {name: partial(check_package, folder) for name, folder in packages.items()}
    parts["people"] = check_people
    yield from _findings(parts)


def check_start() -> Iterator[Finding]:
    """Check what the people mode needs, and nothing where it is off: what the image does before the service starts."""
    findings = list(_findings({"people": check_people}))
    yield from findings
    if findings[0].verdict is Verdict.OK and Settings().people:
        yield from _findings({DEFAULT_PACKAGE: lambda: check_package(find_package(DEFAULT_PACKAGE))})


def _findings(parts: Mapping[str, Callable[[], str]]) -> Iterator[Finding]:
    for part, check in parts.items():
        try:
            yield Finding(part, check(), Verdict.OK)
        except DoubtfulInstallationError as error:
            yield Finding(part, str(error), Verdict.WARNING)
        except DogPluginError as error:
            yield Finding(part, str(error), Verdict.FAILED)


def check_dependencies() -> str:
    """Hold what is installed against the metadata of the plugin's wheel, which was installed without looking at it."""
    plugin = distribution(DISTRIBUTION)
    wanted = SpecifierSet(plugin.metadata["Requires-Python"] or "")
    if not wanted.contains(platform.python_version()):
        raise InstallationError(
            f"The plugin needs Python {wanted}, and this is {platform.python_version()}", "Use another base image"
        )
    requirements = [Requirement(line) for line in plugin.requires or ()]
    needed = [item for item in requirements if item.marker is None or item.marker.evaluate({"extra": ""})]
    misfits = [misfit for requirement in needed if (misfit := _misfit(requirement))]
    if misfits:
        raise InstallationError(
            f"The plugin's dependencies are not all there: {'; '.join(misfits)}",
            "Use another base image; outside Immich, install the plugin with pip, which brings them",
        )
    return f"Python {platform.python_version()} and the {len(needed)} packages that the plugin needs fit"


def _misfit(requirement: Requirement) -> str | None:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement} is not installed"
    fits = requirement.specifier.contains(found, prereleases=True)
    return None if fits else f"{requirement} is needed, and {found} is installed"


def check_patch(tree: Path) -> str:
    """Whether the tree holds the patch."""
    inspection = patching.inspect(tree)
    if inspection.state is patching.State.MISFIT:
        raise patching.misfit_error(inspection)
    if inspection.state is patching.State.APPLIES:
        raise InstallationError(
            f"{inspection.root / patching.PACKAGE} is not patched", f"Run: immich-dogs patch apply {tree}"
        )
    return f"{inspection.root / patching.PACKAGE} ({inspection.family.releases}) is patched"


def check_service(tree: Path) -> str:
    """Whether the service that this Python imports is the tree's, finds the plugin, and can make its models."""
    root = patching.inspect(tree).root
    spec = importlib.util.find_spec(patching.PACKAGE)
    found = Path(spec.origin).parents[1] if spec and spec.origin else None
    if found is None or found.resolve() != root.resolve():
        raise InstallationError(
            f"This Python imports {patching.PACKAGE} from {found or 'nowhere'}, not from {root}",
            f"Run it as the service runs, with PYTHONPATH={root} and the service's environment",
        )
    hooks = {point.group: point for point in entry_points(name="dogs") if point.group.startswith(PLUGIN_GROUP)}
    if f"{PLUGIN_GROUP}models" not in hooks:
        raise InstallationError("The plugin's entry point is not installed", "Install the plugin's wheel again")
    try:
        loaded = {group: point.load() for group, point in hooks.items()}
        find_model_class = loaded[f"{PLUGIN_GROUP}models"]
        models = [find_model_class(DEFAULT_PACKAGE, stage, TASK)(DEFAULT_PACKAGE) for stage in STAGE_NAMES]
    except Exception as error:  # whatever a service of another release breaks with
        raise InstallationError(
            f"The service cannot make the plugin's models ({type(error).__name__}: {error})",
            "Use a release of Immich that patches/COMPATIBILITY.md names",
        ) from error
    return f"finds the plugin and makes {', '.join(type(model).__name__ for model in models)}"


def check_default_package(packages: Mapping[str, Path]) -> str:
    """Whether the package that every request names by default is there."""
    find_package(DEFAULT_PACKAGE)
    return f"found: {', '.join(packages)}"


def check_people() -> str:
    """Whether dogs are answered as faces, and whether the package of the service could serve that.

    Raises:
        InstallationError: a setting is wrong.
        ModelPackageError: the mode is on, and the package cannot serve it, or not at the distance that is set.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise InstallationError(setting_error(error).rstrip("."), "Until then nothing is answered") from error
    package = ModelPackage.read(find_package(DEFAULT_PACKAGE))
    try:
        exponent = people_exponent(package.manifest, settings.people_max_distance)
    except ModelPackageError as error:
        if settings.people:
            raise
        return f"off, and it cannot be turned on: {error}"
    could = f"same dog at the distance {settings.people_max_distance:g} of {package} (exponent {exponent:.3f})"
    if not settings.people:
        return f"off; IMMICH_DOGS_PEOPLE=on would put the {could}"
    least = package.manifest.detection.min_score if settings.people_min_score is None else settings.people_min_score
    return f"on: {settings.people_box} boxes, dogs from score {least:g} on, {could}"


def check_package(folder: Path) -> str:
    """Verify a package, run each of its graphs once, one after the other, and say on what they ran."""
    package = ModelPackage.read(folder)
    package.verify()
    providers = {stage: _run_once(package, stage) for stage in STAGE_NAMES}
    where = ", ".join(f"{stage} on {provider}" for stage, provider in providers.items())
    if len(set(providers.values())) == 1:
        where = f"on {providers[STAGE_NAMES[0]]}"
    return f"{package} in {folder}: verified, its {len(STAGE_NAMES)} graphs run {where}"


def _run_once(package: ModelPackage, stage: StageName) -> str:
    """Run a graph on a device that is ready here, else on the CPU; returns the name of the provider."""
    for provider in providers_ready():
        with suppress(ModelPackageError):  # a device that is taken or too small is no fault of the package
            found, output = _run_on(provider, package, stage)
            break
    else:
        found, output = _run_on(CPU, package, stage)
    if not np.isfinite(output).all():
        raise ModelPackageError(
            f"{package.model_path(stage)} answers a grey picture with numbers that are not finite on {found}",
            "Put another model package there",
        )
    return found


def _run_on(provider: str, package: ModelPackage, stage: StageName) -> tuple[str, FloatArray]:
    """What a graph answers to a grey picture, and the provider that ONNX Runtime took for it."""
    spec = package.manifest.stage(stage)
    graph: Any = open_stage(package, stage, [provider])
    grey = np.full((1, 3, spec.input.side, spec.input.side), 0.5, dtype=np.float32)
    try:
        output = run(graph, spec, grey)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class of their own
        raise ModelPackageError(
            f"{package.model_path(stage)} does not run ({error})", "Put another model package there"
        ) from error
    return graph.get_providers()[0], output
