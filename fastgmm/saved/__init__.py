"""Models and checkpoints on disk, and whether what comes back is sound."""
