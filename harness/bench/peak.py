"""``python -m harness.bench.peak PHOTO``: finds a photo's dogs and prints the most memory it took, in megabytes."""

from __future__ import annotations

import sys
from pathlib import Path

from immich_dog_plugin.errors import DogPluginError
from immich_dog_plugin.imaging import open_photo
from immich_dog_plugin.model_package import ModelPackage
from immich_dog_plugin.pipeline import Dog, DogPipeline


def find_dogs(pipeline: DogPipeline, photo: bytes | Path) -> list[Dog]:
    """From a file to its dogs, as every command does."""
    return pipeline(open_photo(photo))


def peak() -> float:
    """Largest resident memory of this process so far, megabytes (Linux).

    Not ``ru_maxrss``: a process inherits that of the one which started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def main() -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    try:
        find_dogs(DogPipeline.open(ModelPackage.open()), Path(sys.argv[1]))
    except DogPluginError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{peak():.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
