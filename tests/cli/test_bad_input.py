"""Bad input ends in one clear line and exit code 2, before any work and with nothing written."""

import os
import re
import shutil
import sys
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastgmm import GaussianMixture, load
from tests.systems import largest_file, unix_only

K = "-k 2"


@pytest.fixture(scope="module")
def bad(tmp_path_factory, files, model_file):
    """Folder of files that are wrong in some way, and of some that are right."""
    folder = tmp_path_factory.mktemp("bad")
    for name in ("rows.csv", "rows.npy", "more.parquet"):
        shutil.copy(files / name, folder / name)
    X = np.zeros((50, 2))
    X[7, 1] = np.nan
    np.save(folder / "nan.npy", X)
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1]}), folder / "nan.parquet")
    X[7, 1] = np.inf
    np.save(folder / "inf.npy", X)
    np.save(folder / "text.npy", np.array([["a", "b"]]))
    np.save(folder / "cube.npy", np.zeros((2, 2, 2)))
    np.save(folder / "empty.npy", np.zeros((0, 2)))
    np.save(folder / "two.npy", np.zeros((5, 2)))
    pq.write_table(pa.table({"a": [1.0], "b": [2.0]}), folder / "two.parquet")
    (folder / "text.csv").write_text("a,b\n1,2\n3,x\n")
    (folder / "hole.csv").write_text("a,b\n1,2\n3,\n")
    (folder / "ragged.csv").write_text("a,b\n1,2\n3\n")
    (folder / "header.csv").write_text("a,b\n")
    (folder / "zero.csv").write_text("")
    (folder / "numbers.csv").write_text("1.5,2\n3,4\n")
    (folder / "negative.csv").write_text("a,w\n1,2\n3,-1\n")
    (folder / "rows.txt").write_text("1 2\n")
    whole = (files / "rows.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.npy").write_bytes((files / "rows.npy").read_bytes()[:1000])
    (folder / "folder").mkdir()
    model = model_file.read_bytes()
    (folder / "model.npz").write_bytes(model)
    (folder / "cut.npz").write_bytes(model[:-100])
    (folder / "flipped.npz").write_bytes(model[:999] + bytes([model[999] ^ 1]) + model[1000:])
    np.savez(folder / "other.npz", means=np.zeros(3))
    GaussianMixture(3).save(folder / "unfitted.npz")
    return folder


CASES = [
    # usage
    ("nothing", "No such command 'nothing'. See: fastgmm --help"),
    ("--nothing", "No such option: --nothing"),
    ("fit", "Missing argument 'DATA...'. See: fastgmm fit --help"),
    ("fit rows.npy", "Missing option '--n-components' / '-k'"),
    ("fit rows.npy -k 0", "Invalid value for .*-k"),
    ("fit rows.npy -k two", "Invalid value for .*-k"),
    (f"fit rows.npy {K} --tol small", "Invalid value for '--tol'"),
    (f"fit rows.npy {K} --covariance-type round", "'covariance_type' parameter .* 'round'"),
    (f"fit rows.npy {K} --init-params best", "'init_params' parameter .* 'best'"),
    (f"fit rows.npy {K} --max-iter -1", "'max_iter' parameter"),
    (f"fit rows.npy {K} --tol nan", "tol"),
    (f"fit rows.npy {K} --reg-covar much", "'reg_covar' parameter .* 'much'"),
    (f"fit rows.npy {K} --mean-prior 1,2,3", "--mean-prior goes with --bayesian"),
    (f"fit rows.npy {K} --tol-per-sample", "--tol-per-sample goes with --bayesian"),
    (f"fit rows.npy {K} --bayesian --mean-prior 1,b", "'1,b' is neither numbers"),
    (f"fit rows.npy {K} --bayesian --mean-prior no.npy", "'no.npy' is neither numbers"),
    (f"fit rows.npy {K} --bayesian --mean-prior 1,2", r"'means' should have the shape of \(3,\)"),
    (f"fit rows.npy {K} --bayesian --weight-concentration-prior-type x", "prior_type"),
    (f"fit rows.npy {K} --memory-limit much", "memory_limit='much' is no amount of memory"),
    (f"fit rows.npy {K} --memory-limit 1MB", "at least 64MB"),
    (f"fit rows.npy {K} --dtype int8", "dtype should be float64 or float32"),
    ("predict model.npz rows.csv --proba --labels", "choose one of --labels, --proba"),
    ("sample model.npz -n 0", "Invalid value for '-n'"),
    # rows
    (f"fit missing.csv {K}", "There is no missing.csv"),
    (f"fit rows.txt {K}", r"rows.txt is of no kind .*\.csv"),
    (f"fit folder {K}", "folder has no Parquet files"),
    (
        f"fit nan.npy {K}",
        r"nan.npy: column 1 has a missing value .* row 7, .*--missing drop.*--missing em",
    ),
    (f"fit inf.npy {K}", r"inf.npy: column 1 has infinity.* row 7,"),
    (f"fit nan.parquet {K}", r"nan.parquet: column 'b' has a missing value .* row 7,"),
    (f"fit text.npy {K}", "text.npy holds <U1, but numbers are needed"),
    (f"fit cube.npy {K}", "cube.npy has 3 dimensions"),
    (f"fit empty.npy {K}", "empty.npy has no rows"),
    (f"fit cut.npy {K}", "cut.npy is not a whole .npy file"),
    (f"fit cut.parquet {K}", "cut.parquet cannot be read as Parquet"),
    (f"fit model.npz {K}", "model.npz is of no kind that rows are read from"),
    (f"fit text.csv {K}", r"text.csv: column 'b' has 'x'.* row 1, .*\(line 3"),
    (
        f"fit hole.csv {K}",
        r"hole.csv: column 'b' has a missing value.* row 1, .*\(line 3.*--missing drop",
    ),
    (f"fit ragged.csv {K}", "ragged.csv cannot be read as CSV: .* Row #3"),
    (f"fit header.csv {K}", "header.csv has no rows"),
    (f"fit zero.csv {K}", "zero.csv cannot be read as CSV"),
    (f"fit numbers.csv {K}", "numbers.csv: the first line holds numbers .*--no-header"),
    (f"fit negative.csv {K} --weight w", r"negative.csv: the weight of row 1, .* is -1"),
    (f"fit more.parquet {K}", r"more.parquet: column 'name' holds string.*'x' in row 0"),
    (
        f"fit rows.csv {K} --columns a,z",
        "rows.csv has no column 'z'; its columns are 'a', 'b', 'c'",
    ),
    (f"fit rows.csv {K} --columns a,a", "column 'a' is asked for twice"),
    (f"fit rows.csv {K} --weight z", "rows.csv has no column 'z'"),
    (f"fit rows.npy {K} --columns a", "no names of columns: choose them by number, not by 'a'"),
    (f"fit rows.npy {K} --columns 0,7", "rows.npy has 3 columns, so none has the number 7"),
    (f"fit rows.npy two.npy {K}", "two.npy has 2 features, but .*rows.npy has 3"),
    ("fit rows.npy -k 601", "n_samples >= n_components .* = 601, n_samples = 600"),
    # models
    ("predict missing.npz rows.csv", "missing.npz: No such file"),
    ("predict folder rows.csv", "folder: (Is a directory|Permission denied)"),  # Windows
    ("predict rows.npy rows.csv", "rows.npy is not a file of fastgmm"),
    ("predict other.npz rows.csv", "other.npz is not a file of fastgmm"),
    ("predict cut.npz rows.csv", "cut.npz is not a file of fastgmm, or it is cut off"),
    ("predict flipped.npz rows.csv", "flipped.npz is damaged: its checksum is wrong"),
    ("predict unfitted.npz rows.csv", "unfitted.npz holds a model that has not been fitted"),
    ("predict model.npz two.npy", "X has 2 features, but .* expecting 3 features"),
    ("predict model.npz two.parquet", "two.parquet has no column 'c'"),
    ("predict model.npz rows.csv --columns a,b", "X has 2 features, but .* expecting 3"),
    ("predict model.npz rows.csv --columns c,b,a", "was fitted to the features"),
    ("score model.npz two.parquet", "two.parquet has no column 'c'"),
    ("sample cut.npz", "cut.npz is not a file of fastgmm"),
    ("info rows.npy", "rows.npy is not a file of fastgmm"),
    # output
    (f"fit rows.npy {K} --out no/model.npz", "no/model.npz: No such file or directory"),
    (f"fit rows.npy {K} --out folder", "folder: Is a directory"),
    (f"fit rows.npy {K} --checkpoint no/job.npz", "no/job.npz: No such file or directory"),
    (f"fit rows.npy {K} --checkpoint model.npz", "model.npz holds a model, not a checkpoint"),
    (f"fit rows.npy {K} --checkpoint cut.npz", "cut.npz is not a file of fastgmm"),
    (f"fit rows.npy {K} --checkpoint-every -1", "--checkpoint-every"),
    (f"fit rows.npy {K} --out rows.npy", "rows.npy is read or written otherwise"),
    (f"fit rows.npy {K} --out rows.csv", "rows.csv is not a file of fastgmm.* is not overwritten"),
    (f"fit rows.npy {K} --out x.npz --checkpoint x.npz", "x.npz is read or written otherwise"),
    ("predict model.npz rows.csv --out labels.txt", "not to labels.txt"),
    ("predict model.npz rows.csv --out rows.csv", "rows.csv is read or written otherwise"),
    ("predict model.npz folder --out folder/x.parquet", "is read or written otherwise"),
    ("predict model.npz rows.csv --out no/labels.npy", "no/labels.npy: No such file"),
    ("sample model.npz --out model.npz", "Rows are written to .npy, .parquet and .csv"),
    ("sample model.npz --out no/rows.csv", "no/rows.csv: No such file"),
]


def only_line(done):
    """The line that is printed, and all that is."""
    assert done.code == 2
    assert done.out == ""
    assert re.fullmatch(r"fastgmm: [^\n]*\n", done.err), done.err
    return done.err


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_one_clear_line(command, bad, monkeypatch, line, message):
    monkeypatch.chdir(bad)
    before = {path: path.lstat().st_mtime_ns for path in bad.rglob("*")}
    assert re.search(message, only_line(command(*line.split())).replace(os.sep, "/"))
    assert {path: path.lstat().st_mtime_ns for path in bad.rglob("*")} == before


@unix_only
def test_a_device_is_no_output(command, files):
    done = command("fit", files / "rows.npy", "-k", 2, "--out", "/dev/null")
    assert "/dev/null: Not a regular file" in only_line(done)


@unix_only
@pytest.mark.parametrize("option", ["--out", "--checkpoint"])
def test_a_loop_of_links_is_no_output(command, files, tmp_path, option):
    (tmp_path / "job.npz").symlink_to(tmp_path / "job.npz")
    done = command("fit", files / "rows.npy", "-k", 2, option, tmp_path / "job.npz")
    assert "job.npz: Too many levels of symbolic links" in only_line(done)
    assert os.listdir(tmp_path) == ["job.npz"]


@unix_only
@pytest.mark.parametrize(
    "line", ["predict job.npz rows.npy", "score job.npz rows.npy", "info job.npz"]
)
def test_a_named_pipe_is_no_model(command, files, tmp_path, monkeypatch, line):
    """Nobody writes to it, so that reading from it would wait for ever."""
    os.mkfifo(tmp_path / "job.npz")
    monkeypatch.chdir(tmp_path)
    shutil.copy(files / "rows.npy", tmp_path)
    assert "job.npz is no regular file" in only_line(command(*line.split()))


@pytest.mark.parametrize("option", ["--out", "--checkpoint"])
def test_outputs_are_checked_before_rows_are_read(command, files, monkeypatch, option):
    monkeypatch.setattr("fastgmm.cli.fit.open_rows", pytest.fail)
    only_line(command("fit", files / "rows.npy", "-k", 2, option, files / "no" / "model.npz"))


def test_a_folder_that_may_not_be_written(command, files, tmp_path, monkeypatch):
    # Also root is refused where the file system is read only; this stands for it.
    def refuse(target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fastgmm.files.atomic._new_file", refuse)
    done = command("fit", files / "rows.npy", "-k", 2, "--out", tmp_path / "model.npz")
    assert "model.npz: Permission denied" in only_line(done)


@unix_only
def test_a_full_disk(command, files, model_file, tmp_path):
    with largest_file(1000):
        for name in ("out.npy", "out.parquet", "out.csv"):
            arguments = ("--proba", "--out", tmp_path / name)
            done = command("predict", model_file, files / "rows.npy", *arguments)
            assert re.search(f"{name}.*(too large|No space)", only_line(done))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has such a device")
@pytest.mark.parametrize(
    "line", ["--help", "--version", "fit --help", "--show-completion", "info model.npz"]
)
def test_a_full_disk_behind_the_output(command, model_file, monkeypatch, line):
    monkeypatch.chdir(model_file.parent)
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    line += " bash" if line == "--show-completion" else ""
    with suppress(OSError), open("/dev/full", "w") as full:  # which fails again as it is closed
        monkeypatch.setattr(sys, "stdout", full)
        done = command(*line.split())
    assert only_line(done) == "fastgmm: No space left on device\n"


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("pyarrow", "fit rows.parquet -k 2"),
        ("pyarrow", "fit rows.csv -k 2"),
        ("zarr", "fit rows.zarr -k 2"),
        ("pyarrow", "predict model.npz rows.npy --out labels.parquet"),
    ],
)
def test_a_missing_package(command, files, model_file, monkeypatch, package, arguments):
    monkeypatch.chdir(files)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    text = only_line(command(*arguments.split()))
    assert f"needs {package}, which is not installed" in text
    assert 'pip install "fastgmm[batch]"' in text


def test_too_little_memory_is_said(command, files):
    done = command("fit", files / "rows.npy", "-k", 1, "--memory-limit", "100MB", "-q")
    assert done.code == 0
    assert "at least 714MB" in done.err


@pytest.mark.parametrize("kind", [KeyError, TypeError, ZeroDivisionError])
def test_an_error_of_our_own(command, model_file, monkeypatch, kind):
    def fail(*path_and_key):
        raise kind("nobody\nexpected this")

    monkeypatch.setattr("fastgmm.cli.score.load_fitted", fail)
    done = command("score", model_file, "rows.npy")
    assert done.code == 3
    name = kind.__name__
    assert re.fullmatch(f"fastgmm: an error of fastgmm itself, {name}: .*\n", done.err)
    monkeypatch.setenv("FASTGMM_TRACEBACK", "1")
    with pytest.raises(kind):
        command("score", model_file, "rows.npy")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,g\xe4\n1,2\n", "its text is not in UTF-8"),
        (b"\x1f\x8bxxxx", "its compressed text is damaged"),
        (b"a,a,g\n1,2,3\n", "has 2 columns 'a'"),
    ],
)
@pytest.mark.parametrize("arguments", [("fit",), ("fit-many", "--by", "g")])
def test_damaged_text_is_named(command, tmp_path, content, words, arguments):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    text = only_line(command(*arguments, path, "-k", 1))
    assert str(path) in text
    assert words in text


# -- text ------------------------------------------------------------------------------------------
def test_delimiter_and_decimal(command, rows, tmp_path):
    path, out = tmp_path / "rows.csv", tmp_path / "model.npz"
    text = "\n".join(";".join(map(repr, row)) for row in rows.tolist()).replace(".", ",")
    path.write_text(f"a;b c;d\n{text}\n")
    refused = command("fit", path, "-k", 2)
    assert refused.code == 2
    assert "--delimiter ';'" in refused.err
    assert "--decimal ," in refused.err
    told = ["--delimiter", ";", "--decimal", ","]
    assert command("fit", path, "-k", 2, "--random-state", 0, "-o", out, *told).code == 0
    expected = GaussianMixture(2, random_state=0).fit(rows)
    np.testing.assert_array_equal(load(out).means_, expected.means_)
    shown = command("score", out, path, *told)
    assert float(shown.out) == expected.score(rows)
    shown = command("predict", out, path, *told)
    assert shown.out.split()[1:] == [str(label) for label in expected.predict(rows)]
    path.write_text(path.read_text().replace(";", "\t"))
    assert command("score", out, path, "--delimiter", "\\t", "--decimal", ",").code == 0


@pytest.mark.parametrize(
    ("columns", "features"),
    [
        ('a," b c"', ["a", " b c"]),
        (' a , "x, ""y""" ', ["a", 'x, "y"']),
        ("a,c", ["a", "c"]),
    ],
)
def test_any_name_of_a_column_can_be_given(command, tmp_path, columns, features):
    path, out = tmp_path / "rows.csv", tmp_path / "model.npz"
    random = np.random.RandomState(0)
    lines = (",".join(map(str, row)) for row in random.standard_normal((50, 4)))
    path.write_text('a, b c,"x, ""y""",c\n' + "\n".join(lines) + "\n")
    done = command("fit", path, "-k", 1, "--columns", columns, "-o", out)
    assert done.code == 0, done.err
    assert list(load(out).feature_names_in_) == features
    refused = command("fit", path, "-k", 1, "--columns", 'a,"b')
    assert refused.code == 2
    assert "in double quotes" in refused.err


def test_a_first_line_of_numbers_is_noted(command, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("0\n1\n5\n2\n")
    done = command("fit", path, "-k", 1)
    assert done.code == 0
    assert "fastgmm: warning:" in done.err
    assert "--no-header" in done.err
    assert "--no-header" not in command("fit", path, "-k", 1, "--no-header").err
