"""From measured views to a reconstruction and back to files: views, solvers, outputs."""
