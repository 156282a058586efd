"""All Numba code of the package, and only here.

Index conventions, for every file of this folder:

- ``n`` rows, ``d`` features, ``k`` components; ``t`` counts the points of a tile, ``i`` and ``j``
  features, ``c`` components.
- A *tile* holds some hundred rows as a structure of arrays, shape ``(d, stride)``: feature-major,
  so that SIMD lanes run over points. Results then do not depend on the number of lanes, but for
  the sums over points.
- Every coordinate in a tile is relative to the pass's *origin*, and so are the means that kernels
  read. That keeps float32, and data far from zero, accurate.

Importing this folder imports Numba, which takes some 0.4 s; nothing else of the package does so
before the first fit or prediction.
"""
