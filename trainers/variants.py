"""What else could embed a dog, on validation dogs, answers and speed: ``python -m trainers.variants``.

Other input sides, other precisions, the mean with the mirror image, and other uses of body and face, each against the
embedder as it ships. Nothing of the package changes; ``--record`` notes the figures in its manifest, from which
``python -m trainers.evaluate --record`` writes the model card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from immich_dog_plugin.geometry import FloatArray, ImageArray, to_tensor
from immich_dog_plugin.manifest import CropSpec, RecognitionSpec
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import DogPipeline
from immich_dog_plugin.stages.embedder import Embedder, Pictures, embedder_input
from immich_dog_plugin.stages.session import open_session

from .crops import body_crop, face_crop
from .data.identity import read_identities
from .dogs_found import FoundDog, cuts_of, find_dogs
from .embedder.validate import ALL, CROSS_SESSION, Figures, figures_of
from .export import PACKAGE, write_manifest
from .graph import export_graph
from .warm_start import embedder_from

SIDES = (160, 224, 260)
CALIBRATION_CROPS = 64
TIMED = 60  # runs


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One way to embed the validation dogs.

    Attributes:
        embeddings: ``(n, d)`` unit rows.
        milliseconds: of a dog, median; one that shows its face.
    """

    embeddings: FloatArray
    milliseconds: float


class Way(NamedTuple):
    """A graph, how it reads a picture, and what it is shown of a dog."""

    graph: Path
    spec: RecognitionSpec
    crop: CropSpec


def main() -> None:
    """Measure every variant, print the table, and record it on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--package", type=Path, default=PACKAGE)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="other sides of the input, in pixels")
    parser.add_argument("--record", action="store_true", help="write the figures into the manifest")
    args = parser.parse_args()

    package = ModelPackage.open(args.package)
    pipeline = DogPipeline.open(package)
    photos = read_identities(args.data, "val")
    val = find_dogs(pipeline, photos)
    train = find_dogs(pipeline, read_identities(args.data, "train"))
    record = []
    for name, variant in variants(package, pipeline.embedder, val, train, args.sides):
        figures = figures_of(variant.embeddings, photos)
        record.append({"variant": name, "milliseconds": round(variant.milliseconds, 1), **chosen_figures(figures)})
        print(record[-1], flush=True)
    if args.record:
        metrics = {**package.manifest.metrics, "variants_on_val": record}
        recorded = package.manifest.model_copy(update={"metrics": metrics})
        write_manifest(args.package, recorded)


def chosen_figures(figures: Figures) -> dict[str, Any]:
    """Of all dogs, and of those photographed on many days."""
    groups = {"all": figures[ALL], "many_days": figures[CROSS_SESSION]}
    return {name: {key: of[key] for key in ("eer", "tar_at_1_percent", "top_1")} for name, of in groups.items()}


def variants(
    package: ModelPackage,
    embedder: Embedder,
    val: Sequence[FoundDog],
    train: Sequence[FoundDog],
    sides: Sequence[int] = SIDES,
) -> Iterator[tuple[str, Variant]]:
    """Every variant by name, the embedder as it ships first."""
    spec, crop, graph = package.manifest.recognition, package.manifest.crop, package.model_path("recognition")
    alone = {
        "body alone": Way(graph, spec, body_crop(crop.body_padding)),
        "face alone, body where it is hidden": Way(graph, spec, face_crop(crop.face)),
    }
    with TemporaryDirectory() as scratch:
        graphs = made_graphs(package, cuts(train, crop, spec.input.side), sides, Path(scratch))
        others = {name: Way(other, its_spec, crop) for name, (other, its_spec) in graphs.items()}
        embedded = embedded_by({"as it ships": Way(graph, spec, crop), **others, **alone}, val)
    yield from embedded.items()

    shipped, parts = embedded["as it ships"], [embedded[name] for name in alone]
    mirrored = embed(embedder, [tuple(map(mirror, pictures)) for pictures in cuts(val, crop, embedder.side)])
    yield "mean with the mirror image", Variant(unit(shipped.embeddings + mirrored), 2 * shipped.milliseconds)
    mean = unit(np.sum([part.embeddings for part in parts], axis=0))
    yield "mean of body and face", Variant(mean, sum(part.milliseconds for part in parts))


def mirror(picture: ImageArray) -> ImageArray:
    """Left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def made_graphs(
    package: ModelPackage, dogs: Sequence[Pictures], sides: Sequence[int], folder: Path
) -> dict[str, tuple[Path, RecognitionSpec]]:
    """The embedder at other sides and in other precisions; ``dogs`` show 8 bits which values to expect."""
    spec, network = package.manifest.recognition, embedder_from(package)
    graphs = {}
    for side in dict.fromkeys((spec.input.side, *sides)):
        title = f"{side} pixels" if side != spec.input.side else "weights stored as 32 bits"
        sided = spec.model_copy(update={"input": spec.input.model_copy(update={"side": side})})
        graphs[title] = (folder / f"{side}.onnx", sided)
        export_graph(network, side, spec.output, folder / f"{side}.onnx")
    full, prepared, quantised = (folder / f"{name}.onnx" for name in (spec.input.side, "prepared", "quantised"))
    quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)  # stumbles over the dynamic batch
    crops = [picture for pictures in dogs for picture in pictures]
    drawn = crops[:: max(1, len(crops) // CALIBRATION_CROPS)]
    quantize_static(
        str(prepared),
        str(quantised),
        Crops(drawn, spec),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return graphs | {"8-bit integers": (quantised, spec)}


class Crops(CalibrationDataReader):
    """Crops one by one, as the graph takes them."""

    def __init__(self, crops: Sequence[ImageArray], spec: RecognitionSpec) -> None:
        self._inputs = iter([{spec.input.name: as_input(crop, spec)} for crop in crops])

    def get_next(self) -> dict[str, FloatArray] | None:
        return next(self._inputs, None)


def embedded_by(ways: Mapping[str, Way], dogs: Sequence[FoundDog]) -> dict[str, Variant]:
    """The dogs in each way, and how long one takes that has as many pictures as any.

    The graphs take turns: what else the machine does slows all of them alike.
    """
    sessions = {name: open_session(way.graph) for name, way in ways.items()}
    pictures = {name: cuts(dogs, way.crop, way.spec.input.side) for name, way in ways.items()}
    tensors = {
        name: np.concatenate([as_input(picture, way.spec) for picture in max(pictures[name], key=len)])
        for name, way in ways.items()
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TIMED):
        for name, way in ways.items():
            started = time.perf_counter()
            sessions[name].run(None, {way.spec.input.name: tensors[name]})
            times[name].append(1000 * (time.perf_counter() - started))
    return {
        name: Variant(embed(Embedder(sessions[name], way.spec), pictures[name]), median(times[name]))
        for name, way in ways.items()
    }


def cuts(dogs: Sequence[FoundDog], crop: CropSpec, side: int) -> list[Pictures]:
    """What is embedded of each dog."""
    return [cuts_of(dog, crop, side) for dog in dogs]


def embed(embedder: Embedder, dogs: Sequence[Pictures]) -> FloatArray:
    """One embedding a dog ``(n, d)``, one by one as in service."""
    return np.concatenate([embedder([pictures]) for pictures in dogs])


def as_input(crop: ImageArray, spec: RecognitionSpec) -> FloatArray:
    """A crop as the graph takes it ``(1, 3, side, side)``."""
    return to_tensor([embedder_input(crop, spec.input)], spec.input.mean, spec.input.std)


def unit(rows: FloatArray) -> FloatArray:
    """Rows ``(n, d)`` scaled to unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


if __name__ == "__main__":
    main()
