"""What an image is for, what its ONNX Runtime can use, and what the container was given, held against each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from immich_dog_plugin import hardware
from immich_dog_plugin.errors import DoubtfulInstallationError, InstallationError, MissingPackageError

CPU, CUDA, AZURE = "CPUExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider"
OPENVINO, MIGRAPHX = "OpenVINOExecutionProvider", "MIGraphXExecutionProvider"
Container = Callable[..., None]


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Container:
    """A container of an image for ``device``, with these providers and these device files."""

    def container(device: str | None, providers: list[str], files: list[str]) -> None:
        runtime = SimpleNamespace(__version__="1.20.0", get_available_providers=lambda: providers)
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        monkeypatch.setattr(hardware, "device_files", lambda: files)
        monkeypatch.delenv(hardware.DEVICE, raising=False)
        if device is not None:
            monkeypatch.setenv(hardware.DEVICE, device)

    return container


@pytest.mark.parametrize(
    ("device", "providers", "files", "said"),
    [
        (
            "cpu",
            [AZURE, CPU],
            [],
            "image for the CPU, for the dogs as for Immich's own models; ONNX Runtime 1.20.0 with",
        ),
        ("cuda", [CUDA, CPU], [], f"image for cuda; ONNX Runtime 1.20.0 with {CUDA}, {CPU}; no device is visible here"),
        (
            "openvino",
            [OPENVINO, CPU],
            ["/dev/dri"],
            f"image for openvino; ONNX Runtime 1.20.0 with {OPENVINO}, {CPU}; /dev/dri",
        ),
        ("armnn", [CPU], ["/dev/mali0"], "image for armnn, which the dogs do not use"),
        (None, [CPU], [], "the image does not say what it is for (DEVICE is not set)"),
    ],
)
def test_device_providers_and_device_files_are_named(
    container: Container, device: str | None, providers: list[str], files: list[str], said: str
) -> None:
    container(device, providers, files)
    assert hardware.check_hardware().startswith(said)


def test_a_gpu_that_the_container_is_given_and_the_image_does_not_use_is_a_warning(container: Container) -> None:
    container("cpu", [CPU], ["/dev/nvidiactl"])
    with pytest.raises(
        DoubtfulInstallationError, match=r"is given /dev/nvidiactl: neither .* nor Immich's own"
    ) as caught:
        hardware.check_hardware()
    assert "Set IMMICH_DOGS_HARDWARE in .env" in caught.value.cure


def test_an_image_whose_onnx_runtime_was_replaced_does_not_fit(container: Container) -> None:
    container("cuda", [AZURE, CPU], [])
    with pytest.raises(
        InstallationError, match=r"The image is for cuda, and holds ONNX Runtime 1\.20\.0 with Azure"
    ) as caught:
        hardware.check_hardware()
    assert not isinstance(caught.value, DoubtfulInstallationError)


def test_without_onnx_runtime_there_is_a_word_for_it(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container("cpu", [CPU], [])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match="needs onnxruntime"):
        hardware.check_hardware()


@pytest.mark.parametrize(
    ("providers", "files", "ready"),
    [
        ([CUDA, CPU], ["/dev/nvidiactl"], [CUDA]),
        ([CUDA, CPU], [], []),  # a build: nothing is touched that is not there
        ([MIGRAPHX, CPU], ["/dev/kfd"], []),  # compiles for minutes
        ([AZURE, CPU], ["/dev/dri"], []),
    ],
)
def test_a_graph_is_tried_only_on_a_device_that_is_there_and_ready_at_once(
    container: Container, providers: list[str], files: list[str], ready: list[str]
) -> None:
    container("cuda", providers, files)
    assert hardware.providers_ready() == ready
