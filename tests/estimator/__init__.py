"""Tests of the estimator through its public interface."""
