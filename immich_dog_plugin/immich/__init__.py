"""The dog models of Immich's ML service: the only folder that imports ``immich_ml``.

Nothing here is imported outside the service. The patched service finds ``registry.find_model_class`` through the entry
point group ``immich_ml.models``.
"""
