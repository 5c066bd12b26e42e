"""What proves the plugin: real releases of Immich, running services, drawn dogs, measurements."""
