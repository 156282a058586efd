"""Linear algebra of stacks of matrices, by one thread and without BLAS."""
