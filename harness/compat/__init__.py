"""Which releases of Immich the patch fits, and whether everything answers there as it should: COMPATIBILITY.md."""
