"""Immich's ML service for as long as a test or a measurement needs it: a process, a container, or behind a URL."""

from .choose import Choice, Kind, choose
from .container import ContainerService, default_base_image, missing_for_container, running_container
from .process import ProcessService, running_service
from .service import Service

__all__ = [
    "Choice",
    "ContainerService",
    "Kind",
    "ProcessService",
    "Service",
    "choose",
    "default_base_image",
    "missing_for_container",
    "running_container",
    "running_service",
]
