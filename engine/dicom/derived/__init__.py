"""The parts of a derived object: identity, geometry, values and the modules of each modality."""
