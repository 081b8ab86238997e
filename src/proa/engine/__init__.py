"""The use cases of the engine: images, containers, volumes, events; what `api/` serves and Python calls."""
