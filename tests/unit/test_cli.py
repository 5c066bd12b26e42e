from __future__ import annotations

import pytest

from immich_dog_plugin.cli import main


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
