"""Training and export: the only home of torch, which is imported when a training really runs."""
