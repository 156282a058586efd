"""docs/design.md lists the parts of the package as they are, in the words of their docstrings."""

import ast

from tests.test_layers import FILES, LAYERS, PACKAGE, ROOT, unit_of


def file_of(unit):
    """The file that says what a folder, or a module, right below the package is."""
    folder = PACKAGE / unit
    return folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{unit}.py"


def parts():
    """Every part with the first line of its docstring, in the order of the layers."""
    for unit in (unit for layer in LAYERS for unit in layer):
        name = f"{unit}/" if (PACKAGE / unit).is_dir() else f"{unit}.py"
        docstring = ast.get_docstring(ast.parse(file_of(unit).read_text(encoding="utf-8")))
        yield f"    {name:<23}{docstring.splitlines()[0]}"


def test_the_list_of_parts_is_that_of_the_docstrings():
    assert {unit for layer in LAYERS for unit in layer} == set(map(unit_of, FILES))
    listed = "\n".join(parts())
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert listed in design, f"The list of parts in docs/design.md should be:\n\n{listed}"
