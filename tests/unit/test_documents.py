"""What the documents point to is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt  # comes with rich
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
FOLDERS = ("artifacts", "docs", "drawn_dogs", "harness", "image", "immich_dog_plugin", "patches", "tests", "trainers")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.md"))])
CODE = sorted(  # tests make files up
    file
    for folder in set(FOLDERS) - {"tests"}
    for ending in ("py", "toml")
    for file in (ROOT / folder).rglob(f"*.{ending}")
)
OF_THE_REPOSITORY = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w\.(?:md|py|toml|json|patch|svg)\b")


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def blocks(document: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))


def links(document: Path) -> Iterator[str]:
    for block in blocks(document):
        for part in block.children or ():
            target = part.attrs.get("href") or part.attrs.get("src")
            if target:
                yield str(target)


@cache
def anchors(document: Path) -> frozenset[str]:
    """A heading's, as GitHub makes them: lower case, without punctuation, a hyphen for a space."""
    headings = [after for token, after in pairwise(blocks(document)) if token.type == "heading_open"]
    texts = ["".join(part.content for part in heading.children or ()) for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts)


def faults(document: Path) -> list[str]:
    """The relative links of a document whose file or heading is not there."""
    found = []
    for link in links(document):
        address = urlsplit(link)
        if address.scheme:
            continue
        target = (document.parent / unquote(address.path)).resolve() if address.path else document
        if not target.exists():
            found.append(f"{link}: no such file")
        elif address.fragment and address.fragment not in anchors(target):
            found.append(f"{link}: no such heading")
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    assert not faults(document)


def test_the_documents_hold_links_to_follow() -> None:
    assert sum(1 for document in DOCUMENTS for _ in links(document)) > 20
    assert "experiments" in anchors(ROOT / "docs" / "README.md")


def test_a_link_to_a_lost_file_and_to_a_lost_heading_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `small` page: one\n\n| [a](#a-small-page-one) |\n|---|\n| [b](#two) [c](lost.md) ![d](d.png) |\n"
    )
    assert faults(page) == ["#two: no such heading", "lost.md: no such file", "d.png: no such file"]


def test_files_of_the_repository_that_a_text_names_exist() -> None:
    texts = {named(file): file.read_text(encoding="utf-8") for file in (*DOCUMENTS, *CODE)}
    assert sum(len(OF_THE_REPOSITORY.findall(text)) for text in texts.values()) > 20
    lost = [
        f"{file} names {name}"
        for file, text in texts.items()
        for name in sorted(set(OF_THE_REPOSITORY.findall(text)))
        if not (ROOT / name).exists()
    ]
    assert not lost
