"""``python -m immich_dog_plugin``, for environments without the console script."""

from .cli import main

raise SystemExit(main())
