"""Optional packages, imported when they are needed."""

import importlib
from types import ModuleType


def import_optional(name: str, purpose: str) -> ModuleType:
    """Import a package of the extra ``batch``.

    Parameters
    ----------
    name : str
        Of the module.
    purpose : str
        What it is needed for, as the subject of a sentence.

    Raises
    ------
    ImportError
        If it is not installed; the text says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ImportError(
            f"{purpose} needs {package}, which is not installed; get it by: "
            'pip install "fastgmm[batch]"',
            name=package,
        ) from None
