"""What hardware an image of Immich's ML service is made for, and what of it is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .errors import DoubtfulInstallationError, InstallationError, MissingPackageError
from .stages.session import CPU

DEVICE = "DEVICE"  # Immich's images say in this variable what they are for
_NO_HARDWARE = frozenset({CPU, "AzureExecutionProvider"})  # every build of ONNX Runtime has them
_ONNX_RUNTIMES_OWN = frozenset({"cuda", "openvino", "rocm"})  # ARM NN and RKNN take other models than ONNX
# What Immich's hwaccel.ml.yml, or NVIDIA's container runtime, hands to a container. A build has none of it.
_DEVICE_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/dri", "/dev/mali0")
# The others compile a model for minutes, which is no check.
_STARTS_AT_ONCE = ("CUDAExecutionProvider", "OpenVINOExecutionProvider")


def check_hardware() -> str:
    """What the image is for, and what ONNX Runtime has for it.

    Raises:
        MissingPackageError: there is no ONNX Runtime.
        InstallationError: the image is for hardware that its ONNX Runtime does not know.
        DoubtfulInstallationError: the container has hardware that the image does not use.
    """
    onnxruntime = _onnxruntime()
    device, devices = os.environ.get(DEVICE), device_files()
    runtime = f"ONNX Runtime {onnxruntime.__version__} with {', '.join(onnxruntime.get_available_providers())}"
    if device in _ONNX_RUNTIMES_OWN and not accelerators():
        raise InstallationError(
            f"The image is for {device}, and holds {runtime}", "Use Immich's image as it comes, with its ONNX Runtime"
        )
    if device == "cpu" and devices:
        raise DoubtfulInstallationError(
            f"The image is for the CPU, and its container is given {', '.join(devices)}: neither the dogs nor Immich's "
            "own models use that",
            "Set IMMICH_DOGS_HARDWARE in .env to what your image of Immich has behind its release, such as -cuda, and "
            "build again",
        )
    if not device:
        return f"the image does not say what it is for ({DEVICE} is not set); {runtime}"
    if device == "cpu":
        return f"image for the CPU, for the dogs as for Immich's own models; {runtime}"
    if device not in _ONNX_RUNTIMES_OWN:
        return f"image for {device}, which the dogs do not use; {runtime}"
    return f"image for {device}; {runtime}; {', '.join(devices) or 'no device is visible here: a build has none'}"


def device_files() -> list[str]:
    """The accelerators' device files that are visible here."""
    return [file for file in _DEVICE_FILES if Path(file).exists()]


def accelerators() -> list[str]:
    """The execution providers of ONNX Runtime that are not the CPU's, best first."""
    return [name for name in _onnxruntime().get_available_providers() if name not in _NO_HARDWARE]


def providers_ready() -> list[str]:
    """The accelerators that a check can run a graph on: none where no device is visible, none that compile it first."""
    return [name for name in _STARTS_AT_ONCE if name in accelerators()] if device_files() else []


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "Running the models") from error
    return onnxruntime
