"""Fixtures for the tests of missing values."""

from tests.estimator.conftest import many_chunks

__all__ = ["many_chunks"]
