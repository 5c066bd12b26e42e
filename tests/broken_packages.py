"""Copies of a model package, each broken in one way that its own checksums do not show.

The manifest of a copy holds the checksums of the broken graphs: whoever only verifies files finds nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, MutableSequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from immich_dog_plugin.manifest import MANIFEST, STAGE_NAMES, Manifest, StageName
from immich_dog_plugin.model_package import ModelPackage


def random_embedder(package: Path) -> None:
    """Every weight of the embedder drawn anew with the spread it had: the right graph, never trained."""
    rng = np.random.default_rng(0)
    model = _load(package, "recognition")
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype.kind == "f" and values.size > 1:  # not shapes, nor the limits of an activation
            drawn = rng.normal(0, values.std(), values.shape).astype(values.dtype)
            weight.CopyFrom(numpy_helper.from_array(drawn, weight.name))
    _save(package, "recognition", model)


def channels_swapped(package: Path) -> None:
    """Every graph sees blue where red should be, as if the photo had been decoded to BGR."""
    for stage in STAGE_NAMES:
        model = _load(package, stage)
        name = model.graph.input[0].name
        _rename(name, "swapped", (node.input for node in model.graph.node))
        model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "blue_green_red"))
        model.graph.node.insert(0, helper.make_node("Gather", [name, "blue_green_red"], ["swapped"], axis=1))
        _save(package, stage, model)


def normalisation_left_out(package: Path) -> None:
    """The embedder's input stays in 0..1 instead of being centred and scaled."""
    manifest = _manifest(package)
    plain = manifest.recognition.input.model_copy(update={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})
    _write_manifest(package, manifest, "recognition", {"input": plain})


def boxes_shifted(package: Path) -> None:
    """Every box lies half its width too far to the right."""
    model = _load(package, "detection")
    name = model.graph.output[0].name  # (n, 5, anchors): centre x, centre y, width, height, score
    _rename(name, "unshifted", (node.output for node in model.graph.node))
    shift = np.eye(5, dtype=np.float32)
    shift[0, 2] = 0.5  # centre x + width / 2
    model.graph.initializer.append(numpy_helper.from_array(shift, "half_a_width"))
    model.graph.node.append(helper.make_node("MatMul", ["half_a_width", "unshifted"], [name]))
    _save(package, "detection", model)


def weights_elsewhere(package: Path) -> None:
    """The embedder's weights lie in a file beside its graph, which no checksum covers."""
    file = package / "recognition" / "model.onnx"
    onnx.save_model(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    _write_checksum(package, "recognition")


def stages_swapped(package: Path) -> None:
    """The detector lies where the keypoints should, and the other way round."""
    detector, keypoint = _load(package, "detection"), _load(package, "keypoint")
    _save(package, "detection", keypoint)
    _save(package, "keypoint", detector)


def no_graph(package: Path) -> None:
    """The detector's file is no graph at all."""
    (package / "detection" / "model.onnx").write_bytes(b"no graph")
    _write_checksum(package, "detection")


def truncate(package: Path) -> None:
    model = package / "keypoint" / "model.onnx"
    model.write_bytes(model.read_bytes()[:100])


def flip_a_bit(package: Path) -> None:
    model = package / "recognition" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def lose_the_manifest(package: Path) -> None:
    (package / "manifest.json").unlink()


def lose_a_model(package: Path) -> None:
    (package / "detection" / "model.onnx").unlink()


def break_the_manifest(package: Path) -> None:
    (package / "manifest.json").write_text("{")


def without_classifier(package: Path) -> None:
    """Answer every detection: the classifier would drop most of what a broken graph embeds, whichever graph it is."""
    changed = _manifest(package).model_copy(update={"dog_classifier": None})
    (package / MANIFEST).write_text(changed.model_dump_json(indent=2))


def write_broken_package(folder: Path, package: ModelPackage, breakage: Callable[[Path], None]) -> Path:
    """Copy ``package`` to ``folder/<its name>``, break the copy and return its folder."""
    copy = folder / package.manifest.name
    shutil.copytree(package.path, copy)
    breakage(copy)
    return copy


def _rename(name: str, new: str, uses: Iterable[MutableSequence[str]]) -> None:
    for names in uses:
        names[:] = [new if used == name else used for used in names]


def _load(package: Path, stage: StageName) -> onnx.ModelProto:
    return onnx.load(package / stage / "model.onnx")


def _save(package: Path, stage: StageName, model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model)
    (package / stage / "model.onnx").write_bytes(model.SerializeToString())
    _write_checksum(package, stage)


def _write_checksum(package: Path, stage: StageName) -> None:
    digest = hashlib.sha256((package / stage / "model.onnx").read_bytes()).hexdigest()
    _write_manifest(package, _manifest(package), stage, {"sha256": digest})


def _manifest(package: Path) -> Manifest:
    return Manifest.model_validate_json((package / MANIFEST).read_bytes())


def _write_manifest(package: Path, manifest: Manifest, stage: StageName, update: Mapping[str, object]) -> None:
    changed = manifest.model_copy(update={stage: manifest.stage(stage).model_copy(update=update)})
    (package / MANIFEST).write_text(changed.model_dump_json(indent=2))
