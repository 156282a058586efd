"""Rows on a Dask cluster: a kind of storage, and the place where such rows are worked on."""

from fastgmm.distributed.collections import COLLECTION, is_collection
from fastgmm.distributed.files import on_cluster
from fastgmm.distributed.lazily import mapped
from fastgmm.distributed.spreading import Cluster, cluster_of, engine_here, stays_here
from fastgmm.sources.elsewhere import ENGINES
from fastgmm.sources.opening import KINDS

__all__ = ["Cluster", "cluster_of", "engine_here", "is_collection", "mapped", "stays_here"]

if COLLECTION not in KINDS:
    KINDS.append(COLLECTION)
ENGINES["dask"] = on_cluster
