"""Models and checkpoints on disk: what of them is kept, and whether what comes back is sound."""
