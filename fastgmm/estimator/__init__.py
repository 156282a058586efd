"""What both mixtures share: thin methods over plain functions of an estimator."""
