"""Models, statistics and checkpoints on disk: npz files with a JSON header, never pickle."""
