"""How each network reads a picture: decided here once, for training, export and the manifest."""

from __future__ import annotations

from immich_dog_plugin.manifest import DetectionSpec, InputSpec, KeypointSpec, RecognitionSpec

from .starting_weights import LITE_MEAN, LITE_STD

NOT_EXPORTED = "0" * 64  # the checksum until a graph exists

DETECTION = DetectionSpec(
    sha256=NOT_EXPORTED,
    input=InputSpec(name="images", side=416, mean=(0, 0, 0), std=(1, 1, 1), resize="letterbox"),
    output="output0",
    # On held-out photos no more false alarms than package 2.0.0 had at 0.3. At 0.3 one dog in twenty more would have a
    # person of its own in homes of validation dogs, but 3 % more of the photos of other animals would count as a dog.
    min_score=0.35,
    iou_threshold=0.6,
    max_dogs=50,
)
KEYPOINT = KeypointSpec(
    sha256=NOT_EXPORTED,
    input=InputSpec(name="images", side=224, mean=LITE_MEAN, std=LITE_STD, resize="letterbox"),
    output="keypoints",
    padding=0.05,
    # A second look (0.35) takes a quarter off the error and adds a seventh to the time of a photo, for points that the
    # body crop does not need.
    close_up_padding=None,
    min_face_score=0.5,
)
RECOGNITION = RecognitionSpec(
    sha256=NOT_EXPORTED,
    input=InputSpec(name="images", side=260, mean=LITE_MEAN, std=LITE_STD, resize="squash"),
    output="embedding",
    dimension=512,
)
