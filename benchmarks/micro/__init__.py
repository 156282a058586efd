"""One benchmark per kernel and micro-kernel: ``pytest benchmarks/micro``.

Plain ``pytest`` does not collect this folder. Compare two states of the code by
``--benchmark-autosave`` on the one and ``--benchmark-compare`` on the other.
"""
