"""The examples of the documentation run, with the checks that they make themselves."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["statistics.md", "batch.md"])
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(_BLOCK.findall((DOCS / name).read_text()))
    assert "assert" in code
    exec(compile(code, name, "exec"), {})
