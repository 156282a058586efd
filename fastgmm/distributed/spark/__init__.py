"""Mixtures of the rows of a Spark frame: statistics by its partitions, merged along a fixed tree.

Only sufficient statistics come home, never rows; but for the sample that a start looks at, and the
weights, which are looked at once.
"""

from fastgmm.distributed.spark.fitting import fit

__all__ = ["fit"]
