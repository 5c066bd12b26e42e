from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainers.embedder.network import (
    DIMENSION,
    RANDOM,
    Architecture,
    GeneralisedMean,
    backbone_network,
    embedder_network,
)
from trainers.embedder.optimise import freeze_first_layers, layer_groups
from trainers.runs import TrainingError
from trainers.specs import RECOGNITION

pytestmark = pytest.mark.filterwarnings("ignore")

SIDES = {
    "mobilenetv3_small_100": 224,
    "tf_efficientnet_lite0": 224,
    "tf_efficientnet_lite1": 240,
    "tf_efficientnet_lite2": 260,
    "efficientnet_b0": 224,
    "resnet50": 224,
    "convnext_tiny": 224,
    "vit_small_patch14_dinov2": 518,
}
CONVOLUTIONAL = [name for name in SIDES if not name.startswith("vit")]


@pytest.mark.parametrize("backbone", SIDES)
def test_every_backbone_answers_unit_vectors_of_512_numbers_at_its_own_side(backbone: str) -> None:
    network = embedder_network(Architecture(backbone), RANDOM).eval()
    assert network.input.side == SIDES[backbone]
    with torch.inference_mode():
        vectors = network(torch.rand(2, 3, network.input.side, network.input.side))
    assert vectors.shape == (2, DIMENSION)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("backbone", "pooling"), [(name, "gem") for name in CONVOLUTIONAL] + [("test_vit", "token")])
def test_backbones_pool_in_other_ways_at_other_sides(backbone: str, pooling: str) -> None:
    network = embedder_network(Architecture(backbone, pooling, side=96), RANDOM).eval()
    with torch.inference_mode():
        vectors = network(torch.rand(2, 3, 96, 96))
    assert vectors.shape == (2, DIMENSION)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_the_generalised_mean_is_the_cubic_mean() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 0.0]]]])
    expected = ((1 + 8 + 27) / 4) ** (1 / 3)
    pooled = GeneralisedMean(torch.nn.Flatten(1))(features)
    assert pooled.tolist() == [[pytest.approx(expected, rel=1e-5)]]


def test_pooling_that_does_not_fit_the_backbone_is_an_error() -> None:
    with pytest.raises(TrainingError, match="answers tokens"):
        backbone_network(Architecture("test_vit", "gem"), RANDOM)
    with pytest.raises(TrainingError, match="no class token"):
        backbone_network(Architecture("resnet50", "token"), RANDOM)


@pytest.mark.parametrize("name", ["hf-hub:timm/resnet50.a1_in1k", "resnet51"])
def test_a_name_that_timm_does_not_hold_itself_is_an_error_and_no_download(name: str) -> None:
    with pytest.raises(TrainingError, match="timm has no backbone"):
        embedder_network(Architecture(name), RANDOM)


def test_a_backbone_without_weights_at_hand_is_an_error_and_no_download() -> None:
    with pytest.raises(TrainingError, match=r"No weights of resnet50 .*--weights FILE"):
        backbone_network(Architecture("resnet50"))


def test_weights_are_read_from_a_file_with_or_without_its_classifier(tmp_path: Path) -> None:
    import timm

    source = timm.create_model("test_efficientnet", pretrained=False).eval()
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    network = backbone_network(Architecture("test_efficientnet"), str(tmp_path / "weights.pt")).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = source.forward_head(source.forward_features(images), pre_logits=True)
        torch.testing.assert_close(network(images), expected)


def test_a_file_of_other_weights_is_an_error_that_says_why(tmp_path: Path) -> None:
    backbone = Architecture("test_efficientnet")
    state = backbone_network(backbone, RANDOM).state_dict()
    torch.save({name: weight for name, weight in state.items() if name != "bn2.bias"}, tmp_path / "part.pt")
    torch.save({**state, "conv_stem.weight": torch.zeros(5, 3, 3, 3)}, tmp_path / "wider.pt")
    (tmp_path / "text.pt").write_text("no weights")
    for name, reason in {
        "part.pt": "1 tensors are missing, the first is bn2.bias",
        "wider.pt": r"size mismatch for conv_stem.weight",
        "text.pt": "it holds no state dict",
        "missing.pt": "there is no such file",
    }.items():
        with pytest.raises(TrainingError, match=f"{name} .*{reason}"):
            backbone_network(backbone, str(tmp_path / name))


def test_the_network_that_ships_reads_pictures_as_its_manifest_says() -> None:
    assert Architecture().input == RECOGNITION.input


def test_only_the_last_groups_of_layers_learn() -> None:
    backbone = backbone_network(weights=RANDOM)
    freeze_first_layers(backbone, trained=3)
    learning = {name for name, weight in backbone.named_parameters() if weight.requires_grad}
    tops = {".".join(name.split(".")[:2]) if name.startswith("blocks") else name.split(".")[0] for name in learning}
    assert tops == {"blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2"}
    freeze_first_layers(backbone, trained=0)
    assert all(weight.requires_grad for weight in backbone.parameters())


def test_more_groups_of_layers_than_there_are_is_an_error() -> None:
    backbone = backbone_network(Architecture("resnet50"), RANDOM)
    assert len(layer_groups(backbone)) == 5
    with pytest.raises(TrainingError, match="has 5 groups"):
        freeze_first_layers(backbone, trained=6)
