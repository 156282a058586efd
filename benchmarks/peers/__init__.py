"""``python -m benchmarks.peers``: fastgmm beside other libraries that fit Gaussian mixtures.

Every library runs in a process of its own, pinned to the same cores, on the same rows from the same
start, and is asked in turn for a few and for more EM iterations, without a test of convergence. The
difference of the two times, over the difference of the iterations, is the time of an iteration;
what a fit does once drops out. What each arrives at is compared with fastgmm's means.

The libraries are an extra, ``pip install ".[peers]"``; one that is missing, or fails, says so in
its column.
"""
