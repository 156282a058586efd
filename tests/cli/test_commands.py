"""What the commands do is what the estimators do."""

import io
import json

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_iris

from fastgmm import BayesianGaussianMixture, GaussianMixture, __version__, load
from fastgmm.cli import demo
from fastgmm.statistics import MomentForm, SufficientStatistics

FIT = ("-k", 2, "--random-state", 0)


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    return np.column_stack([column.to_numpy() for column in table.columns])


def test_version_and_help(command):
    assert command("--version").out == f"fastgmm {__version__}\n"
    for arguments in ([], ["--help"], ["fit", "-h"]):
        shown = command(*arguments)
        assert shown.code == 0
        assert "Usage: fastgmm" in shown.out


# -- pictures --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("columns", "suffix"), [("a", ".svg"), ("a,b", ".pdf"), ("a,b,c", ".png")])
def test_a_picture_of_the_fit(command, files, tmp_path, columns, suffix):
    beginning = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[suffix]
    picture = tmp_path / f"fit{suffix}"
    done = command("fit", files / "rows.csv", *FIT, "--columns", columns, "--plot", picture)
    assert done.code == 0, done.err
    assert picture.read_bytes().startswith(beginning)
    assert done.out.endswith(f"; {picture} written\n")


@pytest.mark.parametrize("option", ["--wide", "--json"])
def test_a_fit_whose_picture_fails_is_told_of(command, files, tmp_path, monkeypatch, option):
    def full(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("fastgmm.cli.fit.write_picture", full)
    picture = tmp_path / "fit.png"
    done = command("fit", files / "rows.csv", *FIT, option, "--plot", picture)
    assert done.code == 2
    assert "the disk is full" in done.err
    assert "means" in done.out if option == "--json" else "BIC" in done.out
    assert "fit.png" not in done.out


@pytest.mark.parametrize(
    ("name", "words"),
    [("fit.gif", "ends in one of .png"), ("no/fit.png", "No such file"), ("m.png", "otherwise")],
)
def test_a_picture_that_cannot_be_is_refused_before_the_fit(command, files, tmp_path, name, words):
    to = ("--out", tmp_path / "m.png", "--plot", tmp_path / name)
    done = command("fit", files / "rows.csv", *FIT, *to)
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "m.png").exists()


# -- fit -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "options"),
    [
        (["rows.csv"], []),
        (["plain.csv"], ["--no-header"]),
        (["rows.npy"], []),
        (["rows.parquet"], ["--memory-limit", "750MB"]),
        (["many"], []),
        (["many/1.parquet", "many/2.parquet"], ["--n-jobs", 1]),
        (["rows.zarr"], []),
        (["more.csv"], ["--columns", "a,b,c"]),
        (["more.parquet"], ["--columns", "a, b, c"]),
        (["weighted.npy"], ["--columns", "0,1,2"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_any_file_gives_the_same_bits(command, files, tmp_path, model, data, options):
    out = tmp_path / "model.npz"
    done = command("fit", *(files / name for name in data), *FIT, *options, "--out", out)
    assert done.code == 0, done.err
    fitted = load(out)
    np.testing.assert_array_equal(fitted.means_, model.means_)
    np.testing.assert_array_equal(fitted.covariances_, model.covariances_)
    assert "converged after" in done.out
    lines = done.err.splitlines()
    assert "change" not in lines[0]
    assert lines[-1].startswith(f"iteration {model.n_iter_}  log-likelihood ")
    assert lines[-1].endswith("left")


def test_lines_of_progress(command, files, model):
    """Where the standard error is no terminal: the first and the last, unless all are wanted."""
    shown = command("fit", files / "rows.npy", *FIT).err.splitlines()
    assert [line.split()[1] for line in shown] == ["1", str(model.n_iter_)]
    everything = command("fit", files / "rows.npy", *FIT, "--verbose").err.splitlines()
    assert len(everything) == model.n_iter_
    assert all("change" in line for line in everything[1:])


def test_a_job_that_goes_on_says_from_where(command, files, tmp_path):
    job = ("fit", files / "rows.npy", *FIT, "--tol", 0, "--checkpoint", tmp_path / "job.npz")
    assert "goes on" not in command(*job, "--max-iter", 2).err
    assert json.loads(command("info", tmp_path / "job.npz", "--json").out)["start"] == 1
    first = command(*job, "--max-iter", 4).err.splitlines()[0]
    assert first == "goes on from the checkpoint, after iteration 2"


def test_patterns(command, files, tmp_path, model):
    done = command("fit", files / "man*" / "*.parquet", *FIT, "-o", tmp_path / "model.npz")
    assert done.code == 0
    np.testing.assert_array_equal(load(tmp_path / "model.npz").means_, model.means_)
    done = command("fit", files / "none-*.csv", *FIT)
    assert done.code == 2
    assert "no file matches" in done.err


def test_the_table_of_components(command, tmp_path, monkeypatch):
    X = np.random.RandomState(0).standard_normal((50, 6)) * [1, 1e3, 1, 1, 1, 1e-9]
    names = ["a", "petal width (cm)", "c", "d", "e", "f"]
    out = tmp_path / "model.npz"
    pq.write_table(pyarrow.table(dict(zip(names, X.T, strict=True))), tmp_path / "rows.parquet")
    fit = ("fit", tmp_path / "rows.parquet", "-k", 1, "--reg-covar", 0, "-o", out)
    monkeypatch.setenv("COLUMNS", "60")
    lines = command(*fit).out.splitlines()
    assert lines[0].startswith("GaussianMixture, 1 component x 6 features")
    assert "per row" in lines[1]
    assert lines[2].split("  ")[-1] == "..."
    assert max(map(len, lines[2:4])) <= 60
    assert "petal width (cm)" in lines[2]
    assert lines[4].startswith(f"BIC {load(out).bic(tmp_path / 'rows.parquet'):.6g}; 50 rows in ")
    wide = command("info", out, "--wide").out.splitlines()
    assert wide[2].split()[-1] == "f"
    assert float(wide[3].split()[-1]) == pytest.approx(X[:, 5].mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("more.csv", ["--columns", "a,b,c", "--weight", "w"]),
        ("more.parquet", ["--columns", "a,b,c", "--weight", "w"]),
        ("weighted.npy", ["--weight", 3]),
    ],
)
def test_weights(command, files, tmp_path, rows, weights, data, options):
    expected = GaussianMixture(2, random_state=0).fit(rows, sample_weight=weights)
    out = tmp_path / "model.npz"
    assert command("fit", files / data, *FIT, *options, "--out", out).code == 0
    np.testing.assert_array_equal(load(out).means_, expected.means_)
    shown = command("score", out, files / data, *options, "--json")
    score = json.loads(shown.out)
    assert score["log_likelihood"] == expected.score(rows, sample_weight=weights)
    assert score["total_weight"] == pytest.approx(weights.sum())


def test_arguments_reach_the_estimator(command, files, tmp_path):
    out = tmp_path / "model.npz"
    options = (
        "--n-components 3 --covariance-type diag --tol 0.1 --max-iter 7 --n-init 2 --reg-covar 0.5 "
        "--init-params random --random-state 5 --n-jobs 1 --dtype float32 --verbose"
    )
    done = command("fit", files / "rows.npy", *options.split(), "-o", out)
    assert done.code == 0
    assert "start 2/2  iteration 1  " in done.err
    fitted = load(out)
    expected = GaussianMixture(
        3,
        covariance_type="diag",
        tol=0.1,
        max_iter=7,
        n_init=2,
        reg_covar=0.5,
        init_params="random",
        random_state=5,
        n_jobs=1,
    )
    assert fitted.get_params() == expected.get_params()
    assert fitted.means_.dtype == np.float32


def test_reg_covar_may_be_a_name(command, files, tmp_path):
    out = tmp_path / "model.npz"
    assert command("fit", files / "rows.npy", *FIT, "--reg-covar", "scale", "-o", out).code == 0
    assert load(out).reg_covar == "scale"


def test_accelerated_fits(command, files, tmp_path):
    out = tmp_path / "model.npz"
    options = "-k 3 --random-state 0 --tol 1e-6 --max-iter 500 --accelerate auto --tol-kind aitken"
    done = command("fit", files / "rows.npy", *options.split(), "-o", out, "--json")
    assert done.code == 0
    assert 0.0 < json.loads(done.out)["convergence_rate"] < 1.0
    assert load(out).accelerate == "auto"
    done = command("fit", files / "rows.npy", *options.split(), "--bayesian", "-o", out)
    assert done.code == 0
    assert load(out).accelerate == "auto"
    lbfgs = "-k", 2, "--accelerate", "lbfgs", "--bayesian"
    done = command("fit", files / "rows.npy", *lbfgs)
    assert done.code == 2
    assert "accelerate" in done.err
    done = command("fit", files / "rows.npy", "-k", 2, "--accelerate", "newton")
    assert done.code == 2
    assert "accelerate" in done.err
    assert "Traceback" not in done.err


def test_recovery(command, tmp_path):
    np.save(tmp_path / "rows.npy", np.repeat([[0.0, 0.0], [1.0, 3.0]], 50, axis=0))
    arguments = ["fit", tmp_path / "rows.npy", "-k", 2, "--reg-covar", 0, "--random-state", 0]
    done = command(*arguments)
    assert done.code == 2
    assert "ill-defined empirical covariance" in done.err
    done = command(*arguments, "--on-failure", "recover", "--json")
    assert done.code == 0
    assert "times EM was kept from failing" in done.err
    assert json.loads(done.out)["diagnostics"]


def test_bayesian(command, files, tmp_path, rows):
    np.save(tmp_path / "covariance.npy", 2 * np.eye(3))
    out = tmp_path / "model.npz"
    options = (
        "--bayesian --weight-concentration-prior-type dirichlet_distribution "
        "--weight-concentration-prior 0.1 --mean-precision-prior 0.5 --mean-prior 1,-2,3 "
        "--degrees-of-freedom-prior 4 --tol-per-sample --covariance-prior"
    )
    done = command(
        "fit", files / "rows.npy", *FIT, *options.split(), tmp_path / "covariance.npy", "-o", out
    )
    assert done.code == 0, done.err
    assert "lower bound" in done.err
    expected = BayesianGaussianMixture(
        n_components=2,
        random_state=0,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=0.1,
        mean_precision_prior=0.5,
        mean_prior=[1, -2, 3],
        degrees_of_freedom_prior=4,
        covariance_prior=2 * np.eye(3),
        tol_per_sample=True,
    ).fit(rows)
    fitted = load(out)
    np.testing.assert_array_equal(fitted.means_, expected.means_)
    assert fitted.lower_bound_ == expected.lower_bound_


def test_json_and_quiet(command, files, tmp_path, model):
    done = command("fit", files / "rows.npy", *FIT, "--json", "--quiet")
    assert done.err == ""
    document = json.loads(done.out)
    assert document["n_iter"] == model.n_iter_
    assert document["lower_bound"] == model.lower_bound_
    assert document["n_rows"] == 600
    assert document["means"] == model.means_.tolist()
    out = tmp_path / "model.npz"
    done = command("fit", files / "rows.npy", *FIT, "--json", "--out", out)
    document = json.loads(done.out)
    assert document["out"] == str(out)
    assert "means" not in document
    assert command("fit", files / "rows.npy", *FIT, "-q").out == ""


def test_no_convergence_is_a_warning(command, files, tmp_path):
    out = tmp_path / "model.npz"
    done = command("fit", files / "rows.npy", *FIT, "--max-iter", 1, "-q", "--json", "-o", out)
    assert done.code == 0
    assert json.loads(done.out)["converged"] is False
    assert done.err.startswith("fastgmm: warning: not converged after 1 iterations")
    assert load(out).n_iter_ == 1


def test_a_finished_checkpoint_is_the_result(command, files, tmp_path, model):
    arguments = ["fit", files / "rows.npy", *FIT, "--checkpoint", tmp_path / "job.npz", "--json"]
    first, second = command(*arguments), command(*arguments)
    assert first.err.count("iteration") == model.n_iter_
    assert second.err == ""
    assert json.loads(second.out)["means"] == json.loads(first.out)["means"]
    other = command(*arguments, "--tol", 1)
    assert other.code == 2
    assert "tol was 0.001 and is 1.0" in other.err


def test_more_iterations_of_a_finished_checkpoint(command, files, tmp_path):
    fit = ["fit", files / "rows.npy", *FIT, "--tol", 0, "--json"]
    arguments = [*fit, "--checkpoint", tmp_path / "job.npz"]
    assert json.loads(command(*arguments, "--max-iter", 2).out)["n_iter"] == 2
    longer, undisturbed = command(*arguments, "--max-iter", 5), command(*fit, "--max-iter", 5)
    assert longer.err.splitlines()[0] == "goes on from the checkpoint, after iteration 2"
    assert json.loads(longer.out)["means"] == json.loads(undisturbed.out)["means"]
    fewer = command(*arguments, "--max-iter", 4)
    assert fewer.code == 2
    assert "max_iter was 5 and is 4, but 5 iterations have been made" in fewer.err


def test_models_are_overwritten(command, files, tmp_path):
    out = tmp_path / "model.npz"
    out.touch()  # as mktemp makes it
    for k in (1, 2):
        assert command("fit", files / "rows.npy", "-k", k, "-o", out).code == 0
        assert load(out).n_components == k


# -- predict, score, sample, info ------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".csv", "the output"])
@pytest.mark.parametrize(
    ("option", "method"),
    [
        ([], "predict"),
        (["--labels"], "predict"),
        (["--proba"], "predict_proba"),
        (["--log-likelihood"], "score_samples"),
    ],
)
def test_predict(command, files, tmp_path, rows, model, model_file, suffix, option, method):
    arguments = ["predict", model_file, files / "more.csv", *option]
    expected = getattr(model, method)(rows)
    if suffix == "the output":
        done = command(*arguments)
        written = pyarrow.csv.read_csv(io.BytesIO(done.out.encode()))
        written = np.column_stack([column.to_numpy() for column in written.columns])
    else:
        out = tmp_path / f"out{suffix}"
        done = command(*arguments, "--out", out)
        written = read(out)
    assert (done.code, done.err) == (0, "")
    np.testing.assert_array_equal(written.reshape(expected.shape), expected)


def test_columns_are_found_by_name(command, files, tmp_path, rows, model, model_file):
    shuffled = tmp_path / "shuffled.parquet"
    pq.write_table(pq.read_table(files / "more.parquet").select(["name", "c", "a", "b"]), shuffled)
    np.save(tmp_path / "wide.npy", np.column_stack([rows[:, ::-1], rows[:, 0]]))
    for data, options in ((shuffled, []), (tmp_path / "wide.npy", ["--columns", "2,1,0"])):
        done = command("score", model_file, data, *options)
        assert float(done.out) == model.score(rows)


def test_sample(command, tmp_path, model, model_file):
    X, components = model.set_params(random_state=3).sample(20)
    model.set_params(random_state=0)
    arguments = ["sample", model_file, "-n", 20, "--random-state", 3]
    assert command(*arguments, "--out", tmp_path / "X.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)
    table = pyarrow.csv.read_csv(io.BytesIO(command(*arguments, "--labels").out.encode()))
    assert table.column_names == ["a", "b", "c", "component"]
    np.testing.assert_array_equal(table["c"], X[:, 2])
    np.testing.assert_array_equal(table["component"], components)


def test_info(command, files, tmp_path, model, model_file):
    document = json.loads(command("info", model_file, "--json").out)
    assert document["kind"] == "model"
    assert document["feature_names"] == ["a", "b", "c"]
    assert document["covariances"] == model.covariances_.tolist()
    assert document["arguments"]["n_components"] == 2
    text = command("info", model_file).out
    assert "2 components x 3 features, full" in text
    GaussianMixture(4).save(tmp_path / "new.npz")
    assert "not fitted" in command("info", tmp_path / "new.npz").out

    job = tmp_path / "job.npz"
    command("fit", files / "rows.npy", *FIT, "--checkpoint", job)
    document = json.loads(command("info", job, "--json").out)
    assert document["kind"] == "checkpoint"
    assert document["finished"]
    assert document["n_iter"] == model.n_iter_
    assert document["run"]["rows"] == 600
    assert "Checkpoint of a fit, finished" in command("info", job).out

    statistics = SufficientStatistics.zero(MomentForm.OUTER, np.zeros((2, 3)))
    statistics.save(tmp_path / "sums.npz")
    document = json.loads(command("info", tmp_path / "sums.npz", "--json").out)
    assert (document["kind"], document["n_features"]) == ("statistics", 3)
    assert "Sufficient statistics" in command("info", tmp_path / "sums.npz").out


def test_the_demo_compares_with_scikit_learn(command):
    done = command("demo", "--rows", 2000, "--json")
    assert done.code == 0, done.out
    printed = json.loads(done.out)
    assert printed["equal"]
    assert [each["data"] for each in printed["results"]].count("iris") == 4
    generated = printed["results"][-1]
    assert (generated["n_rows"], generated["differences"]) == (2000, [])


def test_the_demo_fails_where_answers_differ(command, monkeypatch):
    monkeypatch.setattr(demo, "problems", lambda _: [IRIS])
    monkeypatch.setattr(demo, "exercise", lambda *_: None)
    done = command("demo")
    assert (done.code, done.out.count("equal")) == (0, 1)
    assert max(map(len, done.out.splitlines())) <= 80
    monkeypatch.setattr(demo, "LABEL_AGREEMENT_PERCENT", 101.0)
    done = command("demo")
    assert done.code == 1
    assert "DIFFERENT: 0 % of the labels" in done.out


IRIS = ("iris", load_iris().data, {"n_components": 3, "random_state": 0}, 1)


# -- what is known beforehand ----------------------------------------------------------------------
def test_frozen_parts(command, files, tmp_path):
    means, out = tmp_path / "means.npy", tmp_path / "model.npz"
    np.save(means, [[5.0, 5.0, 5.0], [0.0, 0.0, 0.0]])
    given = ("--means-init", means, "--weights-init", "0.25,0.75")
    freeze = ("--freeze", "means=0, weights")
    done = command("fit", files / "rows.csv", *FIT, *given, *freeze, "--out", out)
    assert done.code == 0, done.err
    fitted = load(out)
    np.testing.assert_array_equal(fitted.means_[0], [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(fitted.weights_, [0.25, 0.75])
    assert fitted.n_parameters() == 3 + 12
    for options, words in [
        (("--freeze", "means"), "means_init does not give them"),
        ((*given, "--freeze", "means=0+2"), "numbers from 0 to 1"),
        ((*given, "--freeze", "means=0,means=1"), "names means twice"),
        ((*given, "--freeze", "means="), "names no component"),
        ((*given, "--freeze", "shape"), "'weights', 'means', 'covariances'"),
        (("--bayesian", "--freeze", "means"), "--freeze does not go with --bayesian"),
    ]:
        failed = command("fit", files / "rows.csv", *FIT, *options)
        assert failed.code != 0
        assert words in " ".join(failed.err.split())
        assert "Traceback" not in failed.err


def test_labels(command, files, rows, tmp_path):
    labels = np.full(len(rows), -1)
    labels[:5], labels[-5:] = 1, 0
    table = pq.read_table(files / "more.parquet").append_column("class", [labels])
    pq.write_table(table, tmp_path / "rows.parquet")
    out = tmp_path / "model.npz"
    options = ("--columns", "a,b,c", "--weight", "w", "--labels", "class", "--out", out)
    done = command("fit", tmp_path / "rows.parquet", *FIT, *options)
    assert done.code == 0, done.err
    expected = GaussianMixture(2, random_state=0)
    expected.fit(rows, labels=labels, sample_weight=table["w"].to_numpy())
    np.testing.assert_array_equal(load(out).means_, expected.means_)
    np.save(tmp_path / "rows.npy", np.c_[rows, labels])
    assert command("fit", tmp_path / "rows.npy", *FIT, "--labels", 3, "--out", out).code == 0
    assert load(out).predict(rows[:5]).tolist() == [1] * 5
    for path, column, words in [
        ("rows.npy", "7", "has 4 columns, so none has the number 7"),
        ("rows.npy", "0", "Labels should be integers"),
        ("rows.parquet", "name", "'x' in row 0, counted from 0), while labels should be integers"),
        (files / "more.csv", "name", "(line 2 of the file), while labels should be integers"),
    ]:
        failed = command("fit", tmp_path / path, *FIT, "--labels", column)
        assert failed.code != 0
        assert words in " ".join(failed.err.split())
        assert "exclude" not in failed.err


def test_noise(command, files, rows, tmp_path):
    out = tmp_path / "model.npz"
    done = command("fit", files / "rows.csv", *FIT, "--noise", "box", "--out", out)
    assert done.code == 0, done.err
    assert "noise: weight " in done.out
    expected = GaussianMixture(2, noise="box", random_state=0).fit(rows)
    fitted = load(out)
    np.testing.assert_array_equal(fitted.means_, expected.means_)
    document = json.loads(command("info", out, "--json").out)
    assert document["noise_weight"] == expected.noise_weight_
    labels = tmp_path / "labels.csv"
    assert command("predict", out, files / "rows.csv", "--out", labels).code == 0
    np.testing.assert_array_equal(read(labels)[:, 0], expected.predict(rows))
    shares = tmp_path / "shares.parquet"
    assert command("predict", out, files / "rows.csv", "--proba", "--out", shares).code == 0
    assert pq.read_table(shares).column_names == ["component_0", "component_1", "noise"]
    np.testing.assert_array_equal(read(shares), expected.predict_proba(rows))
    drawn = tmp_path / "drawn.csv"
    assert command("sample", out, "-n", 50, "--labels", "--out", drawn).code == 0
    assert command("fit", files / "rows.csv", *FIT, "--noise", "1000", "--json").code == 0
    for value in ("-2", "hull", "nan"):
        failed = command("fit", files / "rows.csv", *FIT, "--noise", value)
        assert failed.code != 0
        assert "noise" in failed.err
        assert "Traceback" not in failed.err
