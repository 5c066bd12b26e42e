from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from immich_dog_plugin.errors import ModelPackageError
from immich_dog_plugin.manifest import MANIFEST, STAGE_NAMES, RecognitionSpec
from immich_dog_plugin.model_package import ModelPackage
from trainers import export
from trainers.embedder.network import RANDOM, Architecture, EmbedderNetwork, embedder_network
from trainers.records import Counts, Recorder
from trainers.runs import TrainingError
from trainers.specs import RECOGNITION
from trainers.warm_start import UNRECORDED, architecture_of, embedder_from

from .drawn import write_photo

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter warns about its own insides

SHIPPED = Path("artifacts/dog-identification-v1").absolute()
SMALL = Architecture("test_efficientnet", pooling="gem", side=64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos of known dogs, to compare graphs on."""
    lines = ["split,set,dog,file,source_group"]
    for number in range(8):
        write_photo(tmp_path / "data" / "identity" / f"{number}.png", number)
        lines.append(f"train,drawn,rex,{number}.png,{number}")
    (tmp_path / "data" / "identity" / "index.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def small_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbedderNetwork:
    """A run of a small embedder, with its record, in the place of the embedder's run."""
    torch.manual_seed(0)
    network = embedder_network(SMALL, RANDOM).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        if getattr(module, "bias", None) is not None:
            module.bias.data.uniform_(-0.1, 0.1)  # the exporter merges constants that are equal
    recipe = {"backbone": SMALL.backbone, "pooling": SMALL.pooling, "side": SMALL.side, "seed": 7}
    run = Recorder(tmp_path / "run", "trainers.embedder.fit", recipe, {"val": {"drawn": Counts(photos=8, dogs=2)}})
    run.history.append({"share": 0.5})
    run.write(epochs=0, kept_epoch=None, validation={"all": {"eer": 0.1}})
    monkeypatch.setattr(export, "RUNS", {**export.RUNS, "recognition": tmp_path / "run"})
    monkeypatch.setattr(export, "WORK", tmp_path / "work")
    spec: RecognitionSpec = RECOGNITION.model_copy(update={"input": network.input})
    monkeypatch.setattr(export, "trained", lambda name: (network, spec))
    return network


def test_a_kept_stage_is_taken_byte_for_byte(data: Path, tmp_path: Path) -> None:
    stages = export.made_stages(data, STAGE_NAMES, SHIPPED)
    export.write_package(tmp_path / "kept", "2.0.0", stages)
    earlier, kept = ModelPackage.open(SHIPPED), ModelPackage.open(tmp_path / "kept")
    for stage in STAGE_NAMES:
        assert kept.model_path(stage).read_bytes() == earlier.model_path(stage).read_bytes()
        assert kept.manifest.stage(stage) == earlier.manifest.stage(stage)
    assert kept.manifest.metrics["export"] == earlier.manifest.metrics["export"]
    assert kept.manifest.version == "2.0.0"


def test_the_other_stages_are_exported_with_the_records_of_their_runs(
    data: Path, tmp_path: Path, small_embedder: EmbedderNetwork
) -> None:
    package = tmp_path / "package"
    export.write_package(package, "2.0.0", export.made_stages(data, ["detection", "keypoint"], SHIPPED))
    made, earlier = ModelPackage.open(package), ModelPackage.open(SHIPPED)
    assert made.manifest.detection == earlier.manifest.detection
    training = made.manifest.metrics["training"]
    assert training["recognition"]["recipe"]["seed"] == 7
    assert training["recognition"]["validation"] == {"all": {"eer": 0.1}}
    assert training["recognition"]["history"] == []
    kept = earlier.manifest.metrics["training"]
    assert training["detection"] == kept["detection"] is not None
    assert training["keypoint"] == kept["keypoint"]

    # the package may replace the one that its other stages were kept from, and keeps the record then
    again = export.made_stages(data, STAGE_NAMES, package)
    export.write_package(package, "2.0.1", again)
    assert ModelPackage.open(package).manifest.metrics["training"] == training


def test_training_continues_from_an_exported_embedder_of_any_architecture(
    data: Path, tmp_path: Path, small_embedder: EmbedderNetwork
) -> None:
    export.write_package(tmp_path / "package", "2", export.made_stages(data, ["detection", "keypoint"], SHIPPED))
    package = ModelPackage.open(tmp_path / "package")
    assert architecture_of(package.manifest) == SMALL
    images = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32))
    with torch.inference_mode():
        torch.testing.assert_close(embedder_from(package)(images), small_embedder(images), atol=2e-3, rtol=0)


def test_an_embedder_from_before_records_is_an_efficientnet_lite2() -> None:
    manifest = ModelPackage.read(SHIPPED).manifest
    metrics = {name: value for name, value in manifest.metrics.items() if name != "training"}
    assert architecture_of(manifest.model_copy(update={"metrics": metrics})) == UNRECORDED


def test_a_damaged_graph_is_not_kept(data: Path, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "damaged")
    with (tmp_path / "damaged" / "keypoint" / "model.onnx").open("ab") as file:
        file.write(b"0")
    with pytest.raises(ModelPackageError, match=r"keypoint/model.onnx is corrupted"):
        export.made_stages(data, STAGE_NAMES, tmp_path / "damaged")


def test_a_run_without_a_record_is_not_exported(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "RUNS", {**export.RUNS, "keypoint": tmp_path / "old"})
    with pytest.raises(TrainingError, match=r"record.json is missing.*--keep keypoint"):
        export.made_stages(data, ["detection", "recognition"], SHIPPED)


@pytest.mark.parametrize("parity", [export.Parity(0.0, 0.5), export.Parity(0.5, 0.0)], ids=["turned", "another score"])
def test_a_graph_that_answers_otherwise_leaves_the_package_as_it_was(
    data: Path,
    tmp_path: Path,
    small_embedder: EmbedderNetwork,
    monkeypatch: pytest.MonkeyPatch,
    parity: export.Parity,
) -> None:
    monkeypatch.setattr(export, "compare", lambda network, graph, images: parity)
    shutil.copytree(SHIPPED, tmp_path / "package")
    with pytest.raises(TrainingError, match="does not answer as its network does"):
        export.made_stages(data, ["detection", "keypoint"], tmp_path / "package")
    assert (tmp_path / "package" / MANIFEST).read_bytes() == (SHIPPED / MANIFEST).read_bytes()
    ModelPackage.open(tmp_path / "package")


def test_a_package_that_is_too_large_is_not_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = export.made_stages(data, STAGE_NAMES, SHIPPED)
    monkeypatch.setattr(export, "MAX_BYTES", 1e6)
    with pytest.raises(TrainingError, match=r"take \d+\.\d MB, and a package may take 1 MB"):
        export.write_package(tmp_path / "large", "1", stages)
    assert not (tmp_path / "large").exists()
