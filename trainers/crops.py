"""The crops of a dog that trainers compare: rules of the manifest."""

from __future__ import annotations

from immich_dog_plugin.manifest import CropSpec, FaceChipSpec

PADDINGS = (0.0, 0.05, 0.1, 0.2)
BODY_PADDING = 0.05  # while it is not chosen
FACES = tuple(FaceChipSpec(eye_distance=distance, eye_height=0.42) for distance in (0.34, 0.26, 0.18, 0.14))
FACE = FACES[2]  # while it is not chosen
CANDIDATE = "candidate"


def body_crop(padding: float = BODY_PADDING) -> CropSpec:
    """The padded box alone."""
    return CropSpec(preference=("body",), body_padding=padding, face=FACE, reason=CANDIDATE)


def face_crop(face: FaceChipSpec) -> CropSpec:
    """The face where it is visible, else the body."""
    return CropSpec(preference=("face", "body"), body_padding=BODY_PADDING, face=face, reason=CANDIDATE)


def both_crops(padding: float = BODY_PADDING, face: FaceChipSpec = FACE) -> CropSpec:
    """Body and face where the face is visible, else the body alone."""
    return CropSpec(preference=("both", "body"), body_padding=padding, face=face, reason=CANDIDATE)


def crop_candidates() -> dict[str, CropSpec | None]:
    """Crops by name; ``None`` is the whole photo, for comparison only."""
    crops: dict[str, CropSpec | None] = {"whole photo": None}
    crops |= {f"body, padding {padding}": body_crop(padding) for padding in PADDINGS}
    crops |= {f"face (eye distance {face.eye_distance}), else body": face_crop(face) for face in FACES}
    # Only those that are good alone.
    return crops | {
        f"body, padding {padding}, beside face (eye distance {face.eye_distance})": both_crops(padding, face)
        for padding in PADDINGS[1:3]
        for face in FACES[2:]
    }
