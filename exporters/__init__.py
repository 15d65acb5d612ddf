"""Training and export: the only home of torch."""
