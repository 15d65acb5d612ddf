"""Networks that find and tell apart, in plain PyTorch."""
