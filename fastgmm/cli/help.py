"""What ``--help`` prints: whole sentences, and examples at the end."""

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

EXAMPLES = {
    "fit": """
fastgmm fit rows.parquet -k 16 --random-state 0 --out model.npz
fastgmm fit rows.csv -k 3 --exclude id,name --missing drop --plot fit.png
fastgmm fit 'data/*.parquet' -k 64 --checkpoint job.npz --out model.npz
zcat rows.csv.gz | fastgmm fit - -k 3 --json
""",
    "fit-many": """
fastgmm fit-many rows.parquet --by station -k 3 --out report.parquet
fastgmm fit-many rows.csv --by shop,year -k 2 --checkpoint job.parquet --out report.csv
fastgmm fit-many 'data/*.csv' -k 3 --out report.parquet
fastgmm info report.parquet --key north
""",
    "select": """
fastgmm select rows.parquet -k 1:10 --out best.npz --table table.csv
fastgmm select rows.csv -k 2,3,5 --covariance-type all --criterion icl
""",
    "predict": """
fastgmm predict model.npz rows.parquet --out labels.npy
fastgmm predict model.npz rows.csv --keep id,when --proba > shares.csv
tail -n 1000 rows.tsv | fastgmm predict model.npz - --no-header --delimiter '\\t'
""",
    "score": """
fastgmm score model.npz rows.parquet
fastgmm score model.npz rows.csv --weight count --json
""",
    "sample": """
fastgmm sample model.npz -n 1000 --random-state 0 --labels --out drawn.csv
""",
    "info": """
fastgmm info model.npz --wide
fastgmm info report.parquet --key north --json
""",
    "warmup": """
fastgmm warmup
""",
    "demo": """
fastgmm demo --rows 100000
""",
}
"""Lines that stand under the help of a command, by its name."""


class Command(TyperCommand):
    """A sub-command whose help says all about an option in sentences, not in brackets."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            records = [
                (record[0], _sentences(param))
                for param in self.get_params(ctx)
                if param.param_type_name == kind
                and (record := param.get_help_record(ctx)) is not None
            ]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for line in (self.epilog or "").strip().splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def write_commands(commands: Mapping[str, Any], formatter: Any) -> None:
    """Write the names of commands, and the first sentences of their helps as a whole."""
    with formatter.section("Commands"):
        formatter.write_dl(
            [(name, _first_paragraph(command.help or "")) for name, command in commands.items()]
        )


def _first_paragraph(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _sentences(param: Any) -> str:
    """The help of a parameter, with its default, its least value, and whether it has to be."""
    text = (getattr(param, "help", None) or "").strip()
    sentences = [text if not text or text.endswith(".") else f"{text}."]
    if param.required:
        sentences.append("It has to be given.")
    least = getattr(param, "min", None)
    if least is None:
        least = getattr(param.type, "min", None) if hasattr(param, "type") else None
    if least is not None:
        sentences.append(f"At least {least:g}.")
    default = _default(param)
    if default:
        sentences.append(f"By default {default}.")
    return " ".join(filter(None, sentences))


def _default(param: Any) -> str:
    """The default as text; empty if there is none, or the help says it."""
    shown = getattr(param, "show_default", False)
    if isinstance(shown, str):
        return shown
    value = param.default
    is_shown = shown and isinstance(value, (int, float, str)) and not isinstance(value, bool)
    if not is_shown or "y default" in (param.help or ""):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
