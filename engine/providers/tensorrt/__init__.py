"""TensorRT and TensorRT-RTX: engines built, kept, checked and run."""
