"""How fast fastgmm is, and whether it stays so. Run from the top of the repository.

- ``suite``: the asv benchmarks, ``asv run``; it imports nothing from the folders above it.
- ``micro``: one benchmark per kernel, ``pytest benchmarks/micro``.
- ``gate``: ``python -m benchmarks.gate BASE HEAD`` fails when HEAD is slower; ``prove_gate`` plants
  regressions and shows that it does.
- ``peers``: fastgmm beside other libraries, as far as they are installed.
- ``history``, ``report``: the figures of all commits, and a page that shows them.
- ``iteration``, ``startup``, ``memory``, and ``figures`` for all three: the tables of the
  documentation.
"""
