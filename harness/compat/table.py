"""COMPATIBILITY.md and .json: the outcomes as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness.compat.outcome import Counts, Outcome

COMMAND = "python -m harness.compat"
_COLUMNS = ("release", "Python", "patch", "reverts", "Immich's own tests", "dogs, of 6 orders", "own answers")


def as_json(outcomes: Sequence[Outcome], date: str) -> str:
    releases = [outcome.model_dump(mode="json", exclude_defaults=True) for outcome in outcomes]
    return json.dumps({"date": date, "command": COMMAND, "releases": releases}, indent=2) + "\n"


def as_markdown(outcomes: Sequence[Outcome], date: str) -> str:
    """The table, and below it whatever is not as it should be."""
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_row(outcome) for outcome in outcomes)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    releases = [outcome for outcome in outcomes if outcome.commit]
    passed = f"{sum(outcome.passed for outcome in releases)} of {len(releases)} releases passed"
    if trees := [outcome for outcome in outcomes if not outcome.commit]:
        passed += f", and {sum(outcome.passed for outcome in trees)} of {len(trees)} trees that are no release"
    notes = [f"**{outcome.name}**: {outcome.note}" for outcome in outcomes if outcome.note]
    problems = [problem for outcome in outcomes for problem in _problems(outcome)]
    parts = [
        "# Which releases of Immich the plugin works in",
        f"Written by `{COMMAND}` on {date}: {passed}. The same with more detail: `COMPATIBILITY.json`.",
        table,
        _LEGEND,
        *(["## Limits", *notes] if notes else []),
        *(["## What is not as it should be", *problems] if problems else []),
    ]
    return "\n\n".join(parts) + "\n"


_LEGEND = """\
- **patch**: the family of releases whose patch fits. **reverts**: with the patch taken out again, every file is byte
  for byte as released.
- **Immich's own tests**: passed / failed / skipped, the same with the patch as without, or both.
- **dogs**: a photo of two drawn dogs is asked about with the three entries of the request in each of their six orders;
  counted are the answers that keep the contract and equal what the pipeline itself finds.
- **own answers**: requests for Immich's own models (search by image and by text, faces, both at once) and faulty
  requests, answered byte for byte as by the unpatched release. The models are small stand-ins; text recognition (OCR)
  is not among them.
- Each release runs as a process, with the dependencies that it locks, on the CPU."""


def _row(outcome: Outcome) -> tuple[str, ...]:
    commit = f" ({outcome.commit[:9]})" if outcome.commit else ""
    if outcome.misfit or not outcome.family:
        patch = "does not fit" if outcome.misfit else "-"
        return (f"{outcome.name}{commit}", outcome.python or "-", patch, *("-",) * 4)
    return (
        f"{outcome.name}{commit}",
        outcome.python,
        outcome.family,
        "yes" if outcome.reverts else "**no**",
        _tests(outcome.tests_released, outcome.tests_patched),
        _share(outcome.orders),
        _share(outcome.own_answers),
    )


def _tests(released: Counts, patched: Counts) -> str:
    if not released and not patched:
        return "not run"
    if released == patched:
        return _counts(released)
    return f"**{_counts(released)} -> {_counts(patched)}**"


def _counts(counts: Counts) -> str:
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return f"{counts.get('passed', 0)} / {failed} / {counts.get('skipped', 0)}"


def _share(faults: dict[str, str]) -> str:
    right = sum(not fault for fault in faults.values())
    share = f"{right} of {len(faults)}"
    return share if faults and right == len(faults) else f"**{share}**"


def _problems(outcome: Outcome) -> list[str]:
    found = [f"```\n{outcome.misfit}\n```"] if outcome.misfit else []
    found += [f"- {fault}" for fault in outcome.faults]
    for what, faults in (("order", outcome.orders), ("request", outcome.own_answers)):
        found += [f'- {what} "{name}": {_shortened(fault)}' for name, fault in faults.items() if fault]
    return [f"**{outcome.name}**", *found] if found else []


def _shortened(text: str, length: int = 300) -> str:
    return text if len(text) <= length else f"{text[:length]} ..."
