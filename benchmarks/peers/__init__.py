"""``python -m benchmarks.peers``: Times of other libraries that fit Gaussian mixtures, beside
fastgmm.

Every library runs in a process of its own, pinned to the same cores, on the same rows from the same
start, and is asked in turn for a few and for more EM iterations, without a test of convergence. The
difference of the two times, over the difference of the iterations, is the time of an iteration;
what a fit does once drops out. The table has fastgmm's milliseconds, the median of the repeats, in
float64, and the others' time as a multiple of them. A star says that the means after as many
iterations differ from fastgmm's by more than 1e-6 (1e-3 where a library works in float32).

The libraries are an extra, ``pip install ".[peers]"``; one that is missing, or fails, says so in
its column. Those on clusters (``--peers fastgmm-on-Dask``, ...) run if they are asked for. Spark's
own mixture takes no start, and ends elsewhere.
"""
