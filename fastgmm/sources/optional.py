"""Optional packages, imported when they are needed."""

import importlib
from types import ModuleType


def import_optional(name: str, purpose: str, extra: str = "batch") -> ModuleType:
    """Import a package that is installed with an extra.

    Parameters
    ----------
    name : str
        Of the module.
    purpose : str
        What it is needed for, as the subject of a sentence.
    extra : str, optional

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
            f'pip install "fastgmm[{extra}]"',
            name=package,
        ) from None
