"""Settings of all micro-benchmarks."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Short, for there are many; what a figure needs is rounds, and a warm start."""
    for item in items:
        item.add_marker(pytest.mark.benchmark(max_time=0.1, min_rounds=10, warmup=True))
