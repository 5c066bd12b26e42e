"""What was found out about one release, as it is kept and committed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from harness.upstream import COMMITS
from immich_dog_plugin.errors import UpstreamError

Counts = dict[str, int]


class Outcome(BaseModel):
    """One release, or a tree that is not one.

    Attributes:
        name: the release's tag, or what the tree is called.
        commit: what the tag was; ``None`` for a tree.
        python: the version of the interpreter that ran the service.
        family: the releases whose patch it is.
        misfit: why the patch does not fit; empty where it does.
        reverts: whether every file was byte for byte as before after the patch was taken out again.
        tests_released, tests_patched: how many of Immich's own tests passed, failed and were skipped; empty where the
            tree has none.
        orders: for each order of a request's entries what is wrong with the answer; empty where nothing is.
        own_answers: for each request for Immich's own models how its answer differs from the unpatched one; empty
            where it does not.
        faults: steps that could not be done, and why.
        note: the limits of what was tested.
        state: of the patch and the plugin's models when it was tested.
        seconds: how long it took.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    commit: str | None = None
    python: str = ""
    family: str = ""
    misfit: str = ""
    reverts: bool = False
    tests_released: Counts = Field(default_factory=dict)
    tests_patched: Counts = Field(default_factory=dict)
    orders: dict[str, str] = Field(default_factory=dict)
    own_answers: dict[str, str] = Field(default_factory=dict)
    faults: list[str] = Field(default_factory=list)
    note: str = ""
    state: str = ""
    seconds: float = 0

    @property
    def passed(self) -> bool:
        """Whether everything was done and came out as it should."""
        done = bool(self.orders and self.own_answers) and not (self.misfit or self.faults)
        same_tests = self.tests_released == self.tests_patched and (self.commit is None or bool(self.tests_released))
        equal = not any(self.orders.values()) and not any(self.own_answers.values())
        return done and self.reverts and same_tests and equal


def age(name: str) -> tuple[int, ...]:
    """A key that sorts releases from the oldest to the newest, and trees behind them."""
    try:
        return tuple(int(part) for part in name.removeprefix("v").split("."))
    except ValueError:
        return (10**6,)


def commit_of(tag: str) -> str:
    """The pinned commit of a release.

    Raises:
        UpstreamError: none is pinned.
    """
    if tag not in COMMITS:
        raise UpstreamError(f"No commit is pinned for {tag}", "Add it to COMMITS in harness/upstream.py")
    return COMMITS[tag]
