"""Dog recognition for Immich: find each dog in a photo and tell one dog from another.

>>> from immich_dog_plugin import DogPipeline, ModelPackage, open_photo
>>> pipeline = DogPipeline.open(ModelPackage.open())            # doctest: +SKIP
>>> dogs = pipeline(open_photo(Path("photo.jpg")))              # doctest: +SKIP
"""

from importlib.metadata import version

from .errors import DogPluginError
from .imaging import open_photo, read_photo
from .model_package import ModelPackage
from .pipeline import Dog, DogPipeline

__all__ = ["Dog", "DogPipeline", "DogPluginError", "ModelPackage", "__version__", "open_photo", "read_photo"]
__version__ = version("immich-dog-plugin")
