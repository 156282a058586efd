"""Kernels of k-means: seeding, Lloyd's steps, many small data sets at once, random draws."""
