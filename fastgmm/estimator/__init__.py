"""What both mixtures share: thin methods over plain functions of an estimator."""

# Before all that follows: a patch may wait for it, and then import the estimators.
import sklearn.mixture  # noqa: F401
