"""How fast fastgmm is, and whether it stays so. Run from the top of the repository.

- ``suite``: what a timing is: problems, calls, the clock, and the list of all timings, which asv
  runs at every commit (``asv run``). It imports nothing from the folders above it.
- ``gate``: ``python -m benchmarks.gate BASE HEAD`` fails when HEAD is slower; ``prove_gate`` plants
  regressions and shows that it does.
- ``iteration``, ``calls``, ``few_rows``, ``many``, ``missing``, ``noise``, ``selection``,
  ``structures``, ``startup``, ``memory``, ``sizing``, ``acceleration``: comparisons with
  scikit-learn or among ourselves, each a function that yields records, which ``command`` prints.
- ``peers``: fastgmm beside other libraries, as far as they are installed.
- ``micro``: one benchmark per kernel, ``pytest benchmarks/micro``.
- ``history``, ``report``: the figures of all commits, and a page that shows them.
- ``batch_job``, ``cluster_job``: rows larger than memory, and jobs that are killed; ``scaling``:
  what an iteration costs on a cluster.
"""
