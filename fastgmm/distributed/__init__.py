"""Rows on a Dask cluster: a kind of storage, and the place where such rows are worked on.

Whoever opens rows takes the functions from here: then those of a cluster are opened, too.
"""

from fastgmm.distributed.collections import COLLECTION
from fastgmm.distributed.files import on_cluster
from fastgmm.distributed.lazily import mapped
from fastgmm.distributed.spreading import Cluster, cluster_of, engine_here, stays_here
from fastgmm.sources.elsewhere import ENGINES
from fastgmm.sources.labels import open_with_labels
from fastgmm.sources.opening import KINDS, open_for_model, open_source

__all__ = [
    "Cluster",
    "cluster_of",
    "engine_here",
    "mapped",
    "open_for_model",
    "open_source",
    "open_with_labels",
    "stays_here",
]

if COLLECTION not in KINDS:
    KINDS.append(COLLECTION)
ENGINES["dask"] = on_cluster
