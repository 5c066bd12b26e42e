"""Training, measuring and packaging of the three networks; see ``README.md`` here."""

import os

# ultralytics reads these when it is imported: nothing here fetches or installs anything.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
