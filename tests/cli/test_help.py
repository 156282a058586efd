"""``--help`` of every command, and completion in shells."""

import re
import shlex

import pytest

from fastgmm.cli import main
from fastgmm.cli.help import EXAMPLES
from fastgmm.covariance import STRUCTURES
from tests.cli.test_processes import ENVIRONMENT
from tests.fresh import command_line

COMMANDS = [info.name for info in main.app.registered_commands]


def test_commands_are_told_in_whole_sentences(command):
    shown = command("--help").out
    assert "..." not in shown.partition("Commands:")[2]
    words = " ".join(shown.split())
    for info in main.app.registered_commands:
        assert f"{info.name} {first_sentence(info.callback.__doc__)}" in words


def first_sentence(text):
    return " ".join(text.partition("\n\n")[0].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help(command, name):
    """No brackets but those of the usage; sentences; examples at the end."""
    shown = command(name, "--help")
    assert shown.code == 0
    text = shown.out.partition("\n\n")[2]
    assert not re.search(r"\[(default|required|env var|x>=)|\]\n", text)
    options, _, examples = text.partition("\nExamples:\n")
    shown_lines = [line.strip() for line in examples.strip().splitlines()]
    assert shown_lines == EXAMPLES[name].strip().splitlines()
    for option in re.split(r"\n  -", options)[1:]:
        assert option.strip().split("\n\n")[0].endswith("."), option


def test_defaults_are_sentences(command):
    words = " ".join(command("fit", "--help").out.split())
    for text in ("By default full.", "By default 0.001.", "At least 1.", "It has to be given."):
        assert text in words


@pytest.mark.parametrize(
    "line", [line for lines in EXAMPLES.values() for line in lines.strip().splitlines()]
)
def test_examples_name_options_that_there_are(command, line):
    words = shlex.split(line.partition("| ")[2] or line)
    assert words[0] == "fastgmm"
    shown = command(words[1], "--help").out
    for word in words[2:]:
        if re.match("-[-a-z]", word):
            assert re.search(rf"(^|\s){re.escape(word)}[ ,\n]", shown), word


def completed(line, shell="bash"):
    environment = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = command_line(
        [], {**ENVIRONMENT, "_FASTGMM_COMPLETE": f"complete_{shell}", **environment}
    )
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    assert "--covariance-type" in completed("fastgmm fit --cov", shell)


def test_completion_of_words():
    assert "select" in completed("fastgmm sel")
    found = completed("fastgmm fit --covariance-type E").split()
    assert found == [name for name in STRUCTURES if name.startswith("E")]
    assert completed("fastgmm score --missing d").split() == ["drop"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_of_completion(shell):
    done = command_line(
        ["--show-completion", shell],
        {**ENVIRONMENT, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert f"_FASTGMM_COMPLETE=complete_{shell}" in done.stdout.decode()
