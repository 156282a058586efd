"""Run a script, or a module, with the estimators in the place of scikit-learn's.

``python -m fastgmm script.py [arguments]`` or ``python -m fastgmm -m module [arguments]``

Workers that start a new Python (loky, spawn) import scikit-learn's own, unless the script calls
fastgmm.patch_sklearn() where they see it: at its top, outside of ``if __name__ == "__main__"``.
"""

import importlib.util
import sys
import zipfile
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType

from fastgmm.patching import patch_sklearn


def main() -> None:
    """Run what the command line names."""
    arguments = sys.argv[1:]
    as_module = arguments[:1] == ["-m"]
    target = arguments[as_module:]
    if not target or (target[0].startswith("-") and not as_module):
        print(__doc__.strip(), file=sys.stderr)
        raise SystemExit(2)
    patch_sklearn()
    sys.argv = target
    code, file, spec = _module(target[0]) if as_module else _script(target[0])
    if as_module:
        sys.argv[0] = file
    _run(code, file, spec)


def _script(name: str) -> tuple[CodeType, str, ModuleSpec | None]:
    """Code of a script, or of the ``__main__.py`` of a folder or an archive; its file; its spec."""
    folder = Path(name).is_dir() or zipfile.is_zipfile(name)
    if folder or not sys.flags.safe_path:
        # As when Python runs a script.
        sys.path[0] = str(Path(name).absolute() if folder else Path(name).resolve().parent)
    if folder:
        return _code_of(PathFinder.find_spec("__main__", sys.path[:1]), f"{name}/__main__.py")
    try:
        return compile(Path(name).read_bytes(), name, "exec", dont_inherit=True), name, None
    except OSError as error:
        raise SystemExit(f"fastgmm: {name} cannot be read: {error.strerror}") from None


def _module(name: str) -> tuple[CodeType, str, ModuleSpec]:
    """Code of a module, or of the ``__main__`` of a package; its file; its spec."""
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:  # what it should be part of
        spec = None
    return _code_of(spec, name)


def _code_of(spec: ModuleSpec | None, name: str) -> tuple[CodeType, str, ModuleSpec]:
    get_code = getattr(None if spec is None else spec.loader, "get_code", None)
    code = None if spec is None or get_code is None else get_code(spec.name)
    if spec is None or code is None:
        raise SystemExit(f"fastgmm: there is no {name} to run.")
    return code, str(spec.origin), spec


def _run(code: CodeType, file: str, spec: ModuleSpec | None) -> None:
    """Run code as the main module.

    Not by `runpy`, whose module is the main one for the time of the run only: pickle and
    multiprocessing, which look their classes up in it under either name, need it longer.
    """
    module = ModuleType("__main__")
    module.__file__, module.__spec__ = file, spec
    module.__package__ = None if spec is None else spec.parent
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    exec(code, module.__dict__)


if __name__ == "__main__":
    main()
