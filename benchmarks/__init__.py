"""How fast fastgmm is, and whether it stays so. Run from the top of the repository.

- ``suite``: what a timing is: problems, calls, the clock, and the list of all timings, which asv
  runs at every commit (``asv run``). It imports nothing from the folders above it.
- ``gate``: ``python -m benchmarks.gate BASE HEAD`` fails when HEAD is slower; ``prove_gate`` plants
  regressions and shows that it does.
- ``compare``: two calls in turn, of scikit-learn and of fastgmm, or both of fastgmm.
- ``startup``, ``memory``, ``sizing``, ``acceleration``: what is no pair of
  calls; each, too, a function that yields records, which ``command`` prints.
- ``peers``: fastgmm beside other libraries, as far as they are installed.
- ``micro``: one benchmark per kernel, ``pytest benchmarks/micro``.
- ``history``, ``report``: the figures of all commits, and a page that shows them.
- ``batch_job``, ``cluster_job``: rows larger than memory, and jobs that are killed; ``scaling``:
  what an iteration costs on a cluster.
- ``processes``, ``worker``: a process that calls functions: of a tree, a library, or a fit whose
  memory is measured.
"""
