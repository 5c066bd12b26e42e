"""The subcommands of ``immich-dogs``: ``add_parser`` declares one, ``run`` does it and returns the exit code."""
