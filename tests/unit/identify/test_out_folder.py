from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from immich_dog_plugin.errors import OutputError
from immich_dog_plugin.identify.export import EMBEDDING_FORMATS
from immich_dog_plugin.identify.identify import Options, Result
from immich_dog_plugin.identify.out_folder import check_out_folder
from immich_dog_plugin.scan import STORE

from .conftest import WritePhoto


@pytest.mark.parametrize("photos", ["x", "x/debug", "x/debug/rex"])
def test_photos_that_the_outputs_would_lie_among_are_refused(tmp_path: Path, photos: str) -> None:
    (tmp_path / photos).mkdir(parents=True)
    (tmp_path / "x" / STORE).touch()  # even where an earlier run wrote
    (tmp_path / "link").symlink_to(tmp_path / "x", target_is_directory=True)
    for out in ("x", "link", "x/../x"):
        with pytest.raises(OutputError, match=r"photos.*Choose another folder by --out"):
            check_out_folder(tmp_path / out, tmp_path / photos)


@pytest.mark.parametrize("out", ["out", "photos/out"])
def test_debug_pictures_that_a_link_leads_into_the_photos_are_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "photos" / "rex").mkdir(parents=True)
    (tmp_path / out).mkdir()
    (tmp_path / out / STORE).touch()
    (tmp_path / out / "debug").symlink_to(tmp_path / "photos" / "rex", target_is_directory=True)
    with pytest.raises(OutputError, match="among the photos"):
        check_out_folder(tmp_path / out, tmp_path / "photos")


@pytest.mark.parametrize("out", ["out", "photos/out", "photos/rex/out", "."])
@pytest.mark.parametrize("content", [None, "notes.txt", "my-dogs.csv"])
def test_a_new_an_empty_and_an_unrelated_folder_are_fine(tmp_path: Path, out: str, content: str | None) -> None:
    (tmp_path / "photos").mkdir()
    if content is not None:
        (tmp_path / out).mkdir(parents=True, exist_ok=True)
        (tmp_path / out / content).touch()
    check_out_folder(tmp_path / out, tmp_path / "photos")


@pytest.mark.parametrize("name", ["debug", "Report.HTML", "embeddings.txt"])
def test_a_folder_that_holds_what_no_run_made_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(OutputError, match=f"holds {name}, but no {STORE}.*move these files away"):
        check_out_folder(tmp_path, tmp_path / "photos")


def test_every_output_of_a_run_is_protected_from_a_run_that_did_not_make_it(
    run: Callable[..., Result], write_photo: WritePhoto, photos: Path, tmp_path: Path
) -> None:
    write_photo("a.png")
    run(Options(formats=list(EMBEDDING_FORMATS)))
    out = tmp_path / "out"
    check_out_folder(out, photos)
    (out / STORE).unlink()
    outputs = {path.name for path in out.iterdir()}
    with pytest.raises(OutputError) as refusal:
        check_out_folder(out, photos)
    assert outputs == set(refusal.value.cause.split(" holds ")[1].split(", but no ")[0].split(", "))
