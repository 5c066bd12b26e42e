"""Everything there is to find out about one release, in a folder of its own."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.asking import differences, ordered_entries
from harness.compat.outcome import Counts, Outcome
from harness.immich_models import write_immich_models
from harness.immich_requests import NO_TASK, TWO_TASKS, bad_requests, own_requests
from harness.service import Service, running_service
from harness.upstream import Upstream
from immich_dog_plugin import patching
from immich_dog_plugin.contract import check_answer
from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.manifest import STAGE_NAMES
from immich_dog_plugin.model_package import DEFAULT_PACKAGE
from immich_dog_plugin.pipeline import Dog


@dataclass(frozen=True, slots=True)
class Question:
    """A photo of dogs, and what the pipeline itself finds in it."""

    image: bytes
    dogs: list[Dog]


def check(upstream: Upstream, plugin: Path, question: Question, folder: Path) -> Outcome:
    """Patch a release, run it beside the unpatched one, and compare.

    Args:
        upstream: the release, which stays as it is.
        plugin: a folder that the plugin is installed in.
        folder: an empty one for trees, caches and logs.
    """
    begin = time.monotonic()
    outcome = Outcome(name=upstream.tag, python=python_version(upstream.python))
    released, patched = folder / "released", folder / "patched"
    upstream.copy(released, patched=False)
    upstream.copy(patched, patched=False)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("patching", lambda: _patch(outcome, patched)),
        ("reverting", lambda: _revert(outcome, upstream, patched, folder / "reverted")),
        ("Immich's own tests", lambda: _run_tests(outcome, upstream, released, patched, plugin)),
        ("the answers", lambda: _compare_answers(outcome, upstream, released, patched, plugin, question)),
    ]
    for what, step in steps:
        try:
            step()
        except (DogPluginError, OSError, ValueError, subprocess.SubprocessError) as error:
            outcome.faults.append(f"{what}: {error}")
        if outcome.misfit or not outcome.family:
            break  # nothing else can be found out
    outcome.seconds = round(time.monotonic() - begin, 1)
    return outcome


def _patch(outcome: Outcome, patched: Path) -> None:
    inspection = patching.inspect(patched)
    outcome.family = inspection.family.releases
    outcome.misfit = "\n".join(str(misfit) for misfit in inspection.misfits)
    if not outcome.misfit:
        patching.apply(patched)


def _revert(outcome: Outcome, upstream: Upstream, patched: Path, reverted: Path) -> None:
    Upstream(upstream.tag, patched, upstream.python).copy(reverted, patched=False)
    patching.revert(reverted)
    outcome.reverts = contents(reverted) == contents(upstream.source)


def contents(tree: Path) -> dict[Path, bytes]:
    """All files of a tree that a release could hold."""
    files = (file for file in tree.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(tree): file.read_bytes() for file in files}


def _run_tests(outcome: Outcome, upstream: Upstream, released: Path, patched: Path, plugin: Path) -> None:
    if (upstream.source / "test_main.py").is_file():
        outcome.tests_released = own_test_counts(upstream.python, released, None)
        outcome.tests_patched = own_test_counts(upstream.python, patched, plugin)


def own_test_counts(python: Path, tree: Path, plugin: Path | None) -> Counts:
    """How many of Immich's own tests in a tree passed, failed and so on, by pytest's names of outcomes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_main.py"],
        cwd=tree,
        env={**inherited, "PYTHONPATH": str(plugin or ""), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    (summary,) = (done.stdout.strip() or done.stderr.strip() or "nothing").splitlines()[-1:]
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|errors?|skipped)", summary)}
    if not counts:
        raise ValueError(f"pytest counts nothing, but says: {summary}")
    return counts


def _compare_answers(
    outcome: Outcome, upstream: Upstream, released: Path, patched: Path, plugin: Path, question: Question
) -> None:
    def start(tree: Path, plugin: Path | None) -> AbstractContextManager[Service]:
        folder = tree.with_name(f"{tree.name}-service")
        write_immich_models(folder / "cache")
        return running_service(tree, upstream.python, folder, plugin=plugin)

    image = question.image
    with start(released, None) as theirs, start(patched, plugin) as ours:
        for name, entries, payload in own_requests(image):
            outcome.own_answers[name] = _difference(ours, theirs, entries, payload, status=200)
        for name, entries, payload in (*bad_requests(image), ("no task", NO_TASK, {"image": image})):
            outcome.own_answers[name] = _difference(ours, theirs, entries, payload)
        our_answer, their_answer = (service.predict(TWO_TASKS, image=image) for service in (ours, theirs))
        equal = our_answer.ok and their_answer.ok and our_answer.json() == their_answer.json()
        outcome.own_answers["two tasks"] = "" if equal else f"{our_answer.text} instead of {their_answer.text}"
        for order in itertools.permutations(STAGE_NAMES):
            outcome.orders[", ".join(order)] = _fault(ours, order, question)


def _difference(
    ours: Service, theirs: Service, entries: Any, payload: dict[str, Any], *, status: int | None = None
) -> str:
    """How two services' answers differ, or that the second is not what it should be: two failures prove nothing."""
    our_bytes, their_bytes = (
        (answer.status_code, answer.headers.get("content-type"), answer.content)
        for answer in (service.predict(entries, **payload) for service in (ours, theirs))
    )
    if status is not None and their_bytes[0] != status:
        return f"as released it is answered by {their_bytes}, so that there is nothing to compare"
    return "" if our_bytes == their_bytes else f"{our_bytes} instead of {their_bytes}"


def _fault(service: Service, order: tuple[str, ...], question: Question) -> str:
    """What is wrong with the answer to a request for dogs whose entries come in this order; empty if nothing is."""
    response = service.predict(ordered_entries(DEFAULT_PACKAGE, order), image=question.image, timeout=120)
    if not response.ok:
        return f"HTTP {response.status_code}: {response.text}"
    try:
        return "; ".join(differences(check_answer(response.content), question.dogs))
    except DogPluginError as error:
        return str(error)


def python_version(python: Path) -> str:
    command = [str(python), "-c", "import platform; print(platform.python_version())"]
    version: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return version
