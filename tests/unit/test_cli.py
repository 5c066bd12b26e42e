from __future__ import annotations

import pytest

from immich_dog_plugin.cli import main
from immich_dog_plugin.contract import DogAnswer


def test_a_wrong_setting_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMMICH_DOGS_THREADS", "many")
    assert main(["models"]) == 1
    message = capsys.readouterr().err
    assert "IMMICH_DOGS_THREADS is 'many'" in message


def test_an_unknown_option_is_refused_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["identify", "photos", "--no-such-option"])
    assert caught.value.code == 2
    assert "--no-such-option" in capsys.readouterr().err


def test_a_full_output_device_is_an_error_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("immich_dog_plugin.commands.models.available_packages", full)
    assert main(["models"]) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("what nobody thought of"),
            "this should not happen (RuntimeError: what nobody thought of, at cli.py:",
        ),
        (MemoryError(), "not enough memory"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
        (OSError("no number and no text"), "no number and no text"),
    ],
)
def test_nothing_ends_in_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr("immich_dog_plugin.commands.models.run", fail)
    assert main(["models"]) == 1
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
    assert message.count("\n") == 1


def test_an_error_of_validation_that_is_no_settings_is_not_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        DogAnswer.model_validate({})
        return 0

    monkeypatch.setattr("immich_dog_plugin.commands.models.run", fail)
    assert main(["models"]) == 1
    message = capsys.readouterr().err
    assert "this should not happen" in message
    assert "setting" not in message
