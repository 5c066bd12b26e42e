"""What one drawn dog looks like in every photo of it: its *look*, drawn from its number alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Colour = tuple[int, int, int]  # sRGB, 0..255
Pattern = Literal["solid", "patches", "saddle", "brindle", "spots", "points"]
Ears = Literal["pricked", "drop", "rose"]
Tail = Literal["up", "curled", "low"]

WHITE: Colour = (236, 230, 220)
BLACK: Colour = (34, 31, 31)
NAMES = (
    "Amber", "Bruno", "Cleo", "Dotty", "Echo", "Frost", "Gus", "Hazel", "Iris", "Juno",
    "Kobi", "Luna", "Milo", "Nell", "Otto", "Pip", "Quill", "Rosie", "Sepp", "Tilda",
    "Ursa", "Vito", "Wilma", "Yuki",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DogLook:
    """Body measures are in withers-high units (about 1 = the height of a middle-sized dog), colours in sRGB."""

    name: str = ""
    coat: Colour = (200, 150, 90)
    second: Colour = WHITE
    pattern: Pattern = "solid"
    ears: Ears = "drop"
    tail: Tail = "up"
    leg: float = 0.56
    body: float = 0.66
    girth: float = 0.20
    bone: float = 1.0
    head: float = 1.0
    muzzle: float = 0.17
    fur: float = 0.5  # 0 = smooth, 1 = long
    eye: Colour = (70, 42, 22)
    mask: Colour | None = None
    muzzle_colour: Colour | None = None
    blaze: float = 0.0  # half width of the stripe on the forehead, in head units
    chest: Colour | None = None
    socks: Colour | None = None
    sock_height: float = 0.22
    ear_colour: Colour | None = None
    belly: float = 0.25  # how much lighter the underside is
    tail_tip: Colour | None = None
    collar: Colour | None = None
    seed: int = 0


# The first dogs are as different as dogs are; later ones are made from the same kinds with other colours and measures.
_KINDS: tuple[DogLook, ...] = (
    DogLook(coat=(198, 138, 68), ears="drop", fur=0.8, tail="low", muzzle=0.18, girth=0.215, belly=0.4),
    DogLook(
        coat=BLACK,
        ears="rose",
        fur=0.9,
        tail="low",
        blaze=0.26,
        muzzle_colour=WHITE,
        chest=WHITE,
        socks=WHITE,
        tail_tip=WHITE,
        belly=0.0,
    ),
    DogLook(
        coat=(176, 120, 66),
        second=(38, 32, 29),
        pattern="saddle",
        ears="pricked",
        fur=0.6,
        tail="low",
        muzzle=0.21,
        mask=(42, 34, 30),
        body=0.72,
        leg=0.58,
    ),
    DogLook(
        coat=WHITE,
        second=BLACK,
        pattern="spots",
        ears="drop",
        ear_colour=BLACK,
        fur=0.1,
        tail="up",
        girth=0.185,
        muzzle=0.19,
        collar=(190, 30, 35),
        belly=0.0,
    ),
    DogLook(
        coat=WHITE,
        second=(150, 88, 44),
        pattern="patches",
        ears="drop",
        ear_colour=(140, 80, 40),
        fur=0.25,
        tail="up",
        leg=0.46,
        blaze=0.16,
        muzzle_colour=WHITE,
        chest=WHITE,
        socks=WHITE,
        muzzle=0.16,
        belly=0.0,
    ),
    DogLook(
        coat=(112, 116, 122),
        ears="pricked",
        fur=0.85,
        tail="curled",
        muzzle=0.165,
        eye=(120, 170, 205),
        muzzle_colour=WHITE,
        chest=WHITE,
        socks=WHITE,
        sock_height=0.4,
        blaze=0.1,
        belly=0.5,
    ),
    DogLook(
        coat=(132, 84, 48),
        second=(48, 32, 24),
        pattern="brindle",
        ears="rose",
        fur=0.1,
        tail="low",
        muzzle=0.12,
        mask=(36, 29, 27),
        chest=WHITE,
        socks=WHITE,
        sock_height=0.12,
        girth=0.225,
        bone=1.15,
        belly=0.1,
    ),
    DogLook(
        coat=(74, 44, 28),
        ears="drop",
        fur=0.2,
        tail="low",
        muzzle=0.18,
        eye=(150, 105, 50),
        collar=(40, 110, 180),
        belly=0.1,
    ),
    DogLook(
        coat=(36, 31, 30),
        second=(164, 96, 44),
        pattern="points",
        ears="drop",
        fur=0.15,
        tail="low",
        leg=0.56,
        muzzle_colour=(160, 96, 48),
        chest=(160, 96, 48),
        socks=(160, 96, 48),
        sock_height=0.3,
        muzzle=0.2,
        belly=0.0,
    ),
    DogLook(coat=(240, 236, 228), ears="pricked", fur=1.0, tail="curled", muzzle=0.14, belly=0.0),
    DogLook(
        coat=(196, 104, 48),
        ears="pricked",
        fur=0.5,
        tail="curled",
        muzzle_colour=(240, 226, 205),
        chest=(240, 226, 205),
        socks=(236, 220, 200),
        sock_height=0.16,
        muzzle=0.15,
        leg=0.52,
        belly=0.6,
    ),
    DogLook(
        coat=(206, 178, 134),
        ears="rose",
        fur=0.1,
        tail="curled",
        muzzle=0.085,
        mask=(36, 31, 30),
        ear_colour=(42, 36, 34),
        leg=0.38,
        girth=0.215,
        body=0.56,
        head=1.1,
        belly=0.2,
    ),
)


def look_of(identity: int) -> DogLook:
    """The look of dog number `identity` (0, 1, ...): the same number is the same dog for ever."""
    if identity < 0:
        raise ValueError(f"A dog's number is 0 or more, not {identity}.")
    rng = np.random.default_rng([identity, 0xD06])
    lap, kind = divmod(identity, len(_KINDS))
    look = _KINDS[kind]
    name = NAMES[identity] if identity < len(NAMES) else f"Dog {identity + 1}"

    def jitter(spread: float) -> float:
        return float(1 + rng.uniform(-spread, spread))

    look = replace(
        look,
        name=name,
        seed=identity,
        leg=look.leg * jitter(0.05),
        body=look.body * jitter(0.05),
        girth=look.girth * jitter(0.05),
        muzzle=look.muzzle * jitter(0.08),
        head=look.head * jitter(0.04),
    )
    if lap:  # a kind seen before: other coat, other ears, so that it is plainly another dog
        other = _KINDS[int(rng.integers(len(_KINDS)))]
        look = replace(
            look,
            coat=other.coat,
            ears=("pricked", "drop", "rose")[int(rng.integers(3))],
            fur=float(rng.uniform(0, 1)),
        )
    return look
