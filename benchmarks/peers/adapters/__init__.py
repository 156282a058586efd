"""One module per library: ``prepare(problem)`` returns a function that runs EM iterations.

No covariance is regularised, because libraries differ in what they add, and no test of convergence
may stop early.
"""
