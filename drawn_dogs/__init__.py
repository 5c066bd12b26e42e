"""Draws photos of dogs that never lived, so that the project can show and test itself with no photos at hand.

looks -> body (pose) -> shape (signed distance) -> marching -> render (coat, light, fur) -> photos -> tree
"""

from drawn_dogs.looks import look_of
from drawn_dogs.photos import VIEWS, DrawnPhoto, draw_dog, draw_group, draw_scene
from drawn_dogs.tree import write_tree

__all__ = ["VIEWS", "DrawnPhoto", "draw_dog", "draw_group", "draw_scene", "look_of", "write_tree"]
