"""A plugin of pytest: kernels on few sizes only, for a processor that is emulated.

``python -m pytest -p tests.few_sizes tests/kernels``: every form, every micro-kernel and both types
are compiled and compared as ever. Micro-kernels run on 4 sizes instead of 72, and passes on
`SHAPES` alone.
"""

SHAPES = [(37, 2, 1), (131, 17, 5)]
_SIZES = {"FEATURES": [5, 17], "COMPONENTS": [3, 5], "GROUPS": [1, 2]}


def pytest_collection_modifyitems(config, items):
    """Leave out what has other shapes, and shorten the lists that micro-kernels run over."""
    chosen = [item for item in items if _shape(item) in (None, *SHAPES)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
    for item in items:
        for name, sizes in _SIZES.items():
            if hasattr(item.module, name):
                setattr(item.module, name, sizes)


def _shape(item):
    arguments = item.callspec.params if hasattr(item, "callspec") else {}
    return arguments.get("shape")
