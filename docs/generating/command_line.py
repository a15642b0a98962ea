"""The command line page: what ``--help`` says, for every command."""

from typing import Any, cast

from typer.main import get_command

from docs.generating.markdown import markdown, page, table
from valorem.cli.main import command_line
from valorem.cli.serving import Machine


def commands() -> str:
    """Every command; saying what there is needs no machine to do it on."""
    return command_line_page(get_command(command_line(cast("Machine", None))), "valorem")


def command_line_page(root: Any, name: str) -> str:
    """Every command below ``root``, with its arguments and options."""
    return page(
        "Command line",
        f"`{name} COMMAND --help` says the same. Commands that ask a server use `VALOREM_URL` and `VALOREM_API_KEY`.",
        *_told(root, name),
    )


def _told(command: Any, path: str) -> list[str]:
    # Typer brings its own copy of click, whose classes have no public name.
    if inside := getattr(command, "commands", None):
        return [
            section
            for name, inner in inside.items()
            if not inner.hidden
            for section in _told(inner, f"{path} {name}")
        ]
    with command.context_class(command, info_name=path) as context:
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        rows = [
            (f"`{record[0]}`", markdown(record[1]))
            for parameter in command.get_params(context)
            if (record := parameter.get_help_record(context)) and "--help" not in record[0]
        ]
    told = f"## {path}\n\n```text\n{usage}\n```\n\n{markdown(command.help or '')}"
    return [f"{told}\n\n{table(('Option', 'Meaning'), rows)}" if rows else told]
