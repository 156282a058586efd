"""``python -m benchmarks.figures``: All figures of the documentation, as Markdown.

Runs ``benchmarks.iteration``, ``benchmarks.startup`` and ``benchmarks.memory`` one after the other,
each in a process of its own; each says on which machine and with which versions.
"""

import argparse
import subprocess
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures",
        usage="%(prog)s [options]",
        description=(__doc__ or "").partition("``: ")[2],
    )
    parser.add_argument("--repeats", default="5")
    parser.add_argument("--scikit-learn-memory", action="store_true", help="also what that takes")
    asked = parser.parse_args(arguments)
    repeats = ["--repeats", asked.repeats]
    both = ["--scikit-learn"] if asked.scikit_learn_memory else []
    for title, *call in (
        ("Seconds per EM iteration", "iteration", *repeats),
        ("Start-up and small fits", "startup", *repeats),
        ("Peak memory of a fit beyond X", "memory", *both),
    ):
        print(f"### {title}\n\n`python -m benchmarks.{' '.join(call)}`\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{call[0]}", *call[1:]], check=True)
        print()


if __name__ == "__main__":
    main()
