"""Which release of Immich an image holds, by its own words, and whether the plugin was tested in it."""

from __future__ import annotations

import os
import re
from typing import Any

import orjson

from . import patching
from .errors import DoubtfulInstallationError

TABLE = "COMPATIBILITY.json"
# Immich's own build sets both: the tag of a release, and the commit that it stood at.
TAG, COMMIT = "IMMICH_SOURCE_REF", "IMMICH_SOURCE_COMMIT"
_CURE = (
    "It fits if the other lines say ok: then try it on a few photos. Do not go back to an older release of Immich than "
    "your server runs; patches/COMPATIBILITY.md names the tested ones"
)


def check_release() -> str:
    """The release, if the plugin was tested in it.

    Raises:
        DoubtfulInstallationError: it is another one, or the image does not say which.
    """
    tag, commit = os.environ.get(TAG), os.environ.get(COMMIT)
    tested = passed_releases()
    for name, tested_commit in tested.items():
        if commit == tested_commit or (name == tag and not commit):
            return f"Immich {name}, in which the plugin was tested"
    if not tag:
        raise DoubtfulInstallationError(
            f"The image does not say which release of Immich it holds ({TAG} is not set), so nobody knows whether the "
            "plugin was tested in it",
            _CURE,
        )
    if tag in tested:
        raise DoubtfulInstallationError(
            f"The image calls itself Immich {tag} and was built from {commit}, while the plugin was tested in "
            f"{tested[tag]}",
            _CURE,
        )
    minor = re.match(r"v\d+\.\d+\.", tag)
    relatives = [name for name in tested if minor and name.startswith(minor.group())]
    raise DoubtfulInstallationError(
        f"The plugin was not tested in this release, Immich {tag}, but in {(relatives or list(tested))[-1]}", _CURE
    )


def passed_releases() -> dict[str, str]:
    """The commit of each release in which everything came out as it should, by its tag, oldest release first."""
    table = orjson.loads(patching.shipped_text(TABLE))
    return {release["name"]: release["commit"] for release in table["releases"] if _passed(release)}


def _passed(release: dict[str, Any]) -> bool:
    faults = [*release.get("orders", {}).values(), *release.get("own_answers", {}).values()]
    return bool(release.get("commit") and faults) and not any(
        [*faults, release.get("misfit"), release.get("faults"), not release.get("reverts")]
    )
