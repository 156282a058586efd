"""Fixtures for the tests of the estimators."""

import pytest


@pytest.fixture(scope="module")
def many_chunks():
    """Cuts few rows into many chunks."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("fastgmm.sources.base._LEAST_WORK", 1 << 14)
        monkeypatch.setattr("fastgmm.sources.base._LEAST_ROWS", 256)
        yield
