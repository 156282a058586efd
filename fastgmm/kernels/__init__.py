"""The kernels: all code that is compiled, and the numbers that it shares with the code above.

``README.md`` in this folder tells how to read, write and debug them. In short:

- An *entry point* is a Numba function that Python calls, with a chunk of rows for instance. It
  loops over tiles and calls micro-kernels.
- A *micro-kernel* is an inner loop, written as a small program that emits LLVM code for vectors.
  Beside it stands its definition, a few lines of NumPy that say the same.
- A *tile* holds some hundred rows as a structure of arrays, shape ``(d, stride)``: feature-major,
  so that the lanes of a vector are points. Results then do not depend on the number of lanes,
  except for sums over points.

Every coordinate in a tile is relative to the pass's *origin*, and so are the means that kernels
read. That keeps float32, and data far from zero, accurate.

Index conventions, for every file of this folder: ``n`` rows, ``d`` features, ``k`` components;
``t`` counts the points of a tile, ``i`` and ``j`` features, ``c`` components.

Importing a file of this folder imports Numba, which takes some 0.4 s, unless it is ``layout.py`` or
``paying.py``; nothing else of the package does so before the first fit or prediction.
"""
