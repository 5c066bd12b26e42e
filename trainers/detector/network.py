"""YOLOv8n with one class: dog.

COCO's network already knows dogs. Its three classification branches keep their layers, and of each branch's last
convolution the row of the class "dog" remains, so training starts from a detector that works.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from ultralytics.nn.modules import C2f, Conv, Detect
from ultralytics.nn.tasks import DetectionModel

COCO_DOG = 16
# A dog that COCO's network takes for another of these animals is still found in the right place.
COCO_ANIMALS = (15, 16, 17, 18, 19, 20, 21)  # cat, dog, horse, sheep, cow, elephant, bear
LIGHT = 32  # channels of a lighter classification branch; those trained for 80 classes have 80


def coco_network(state: dict[str, Tensor]) -> DetectionModel:
    """YOLOv8n with COCO's 80 classes."""
    network = DetectionModel("yolov8n.yaml", nc=80, verbose=False)
    network.load_state_dict(state)
    return network


def one_class_network(state: dict[str, Tensor] | None = None) -> DetectionModel:
    """YOLOv8n whose only class is dog, started from COCO's weights ``state`` or, without them, at random."""
    # Built for 80 classes: the width of the classification branches follows from the number of classes.
    network = DetectionModel("yolov8n.yaml", nc=80, verbose=False)
    if state is not None:
        network.load_state_dict(state)
    head: Detect = network.model[-1]
    for branch in head.cv3:
        branch[-1] = _rows(branch[-1], COCO_DOG, 1)
    head.nc = 1
    head.no = head.nc + 4 * head.reg_max
    network.nc = network.yaml["nc"] = 1
    network.names = {0: "dog"}
    return network


def light_network() -> DetectionModel:
    """The same with lighter classification branches, which start at random."""
    network = one_class_network()
    head: Detect = network.model[-1]
    head.cv3 = nn.ModuleList(_light_branch(branch[0].conv.in_channels) for branch in head.cv3)
    return network


def _light_branch(channels: int) -> nn.Sequential:
    return nn.Sequential(Conv(channels, LIGHT, 3), Conv(LIGHT, LIGHT, 3), nn.Conv2d(LIGHT, 1, 1))


def pruned(branch: nn.Sequential, features: Tensor) -> nn.Sequential:
    """A lighter classification branch from the channels of a trained one that count most for its answer.

    A channel counts for what it varies by on ``features (n, channels, height, width)``, times the weights that read it.
    """
    first, second, last = branch
    with torch.no_grad():
        before = first(features)
        after = second(before)
        kept_after = _largest(after.std(dim=(0, 2, 3)) * last.weight.abs().sum(dim=(0, 2, 3)))
        kept_before = _largest(before.std(dim=(0, 2, 3)) * second.conv.weight[kept_after].abs().sum(dim=(0, 2, 3)))
        light = _light_branch(features.shape[1])
        _copy(light[0], first, kept_before, slice(None))
        _copy(light[1], second, kept_after, kept_before)
        light[2].weight.copy_(last.weight[:, kept_after])
        light[2].bias.copy_(last.bias)
    return light


def _largest(weights: Tensor) -> Tensor:
    """The places of the ``LIGHT`` largest, in order."""
    return weights.topk(LIGHT).indices.sort().values


def _copy(target: Conv, source: Conv, rows: Tensor, columns: Tensor | slice) -> None:
    """Fill a convolution and its batch normalisation from some of the channels of another."""
    target.conv.weight.copy_(source.conv.weight[rows][:, columns])
    for values in ("weight", "bias", "running_mean", "running_var"):
        getattr(target.bn, values).copy_(getattr(source.bn, values)[rows])
    target.bn.eps = source.bn.eps


def _rows(source: nn.Conv2d, start: int, count: int) -> nn.Conv2d:
    """The 1 x 1 convolution that computes ``count`` of the channels of ``source`` from ``start`` on."""
    convolution = nn.Conv2d(source.in_channels, count, 1)
    with torch.no_grad():
        convolution.weight.copy_(source.weight[start : start + count])
        convolution.bias.copy_(source.bias[start : start + count])
    return convolution


class HalvedC2f(nn.Module):
    """The same as ultralytics' block, its first convolution computed as the two halves that are used apart.

    ONNX Runtime keeps pictures in blocks of channels that convolutions are fast on, and has to leave that layout to
    split one: a twentieth of the whole detector's time.
    """

    def __init__(self, block: C2f) -> None:
        super().__init__()
        whole = fuse_conv_bn_eval(block.cv1.conv.eval(), block.cv1.bn.eval())
        self.halves = nn.ModuleList(_rows(whole, start, block.c) for start in (0, block.c))
        self.act, self.m, self.cv2 = block.cv1.act, block.m, block.cv2
        self.i, self.f = block.i, block.f  # by which ultralytics runs its layers

    def forward(self, images: Tensor) -> Tensor:
        parts = [self.act(half(images)) for half in self.halves]
        for bottleneck in self.m:
            parts.append(bottleneck(parts[-1]))
        output: Tensor = self.cv2(torch.cat(parts, dim=1))
        return output


class ExpectedDistances(nn.Module):
    """The mean of each distribution over distances, ``(n, 4 * bins, anchors)`` logits to ``(n, 4, anchors)``.

    The same as the softmax and the convolution behind it of ultralytics (Li et al., 2020, "Generalized Focal Loss",
    https://arxiv.org/abs/2006.04388), but ONNX Runtime takes a tenth of the whole detector for a softmax over an axis
    that is not the last, and hardly anything for the quotient of two sums.
    """

    MOST = 60.0  # larger logits count as this; exp of it, summed, is far from the largest float32

    def __init__(self, bins: int) -> None:
        super().__init__()
        distances = torch.arange(bins, dtype=torch.float32)
        self.register_buffer("sums", torch.stack([distances, torch.ones(bins)]), persistent=False)
        self.sums: Tensor

    def forward(self, logits: Tensor) -> Tensor:
        images, channels, anchors = logits.shape
        sides = logits.view(images, 4, channels // 4, anchors)
        weighted, total = (self.sums @ sides.clamp(max=self.MOST).exp()).unbind(dim=2)
        return weighted / total


class ExportedDetector(nn.Module):
    """The graph that ships: ``output0`` ``(n, 5, anchors)``: cx, cy, w, h in input pixels and the dog score.

    Answers as ``network``, of which it is a copy arranged for ONNX Runtime.
    """

    def __init__(self, network: DetectionModel) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        layers = self.network.model
        for number, layer in enumerate(layers):
            if isinstance(layer, C2f):
                layers[number] = HalvedC2f(layer)
        head: Detect = self.network.model[-1]
        head.export = True  # one tensor, without the training outputs
        head.format = "onnx"
        head.dynamic = True  # makes its grid for each call instead of comparing the batch with the last one
        head.dfl = ExpectedDistances(head.reg_max)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.network(images)
        return output
