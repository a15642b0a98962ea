"""The command line page: what ``--help`` says, for every command."""

import click

from docs.generating.markdown import markdown, page, table


def command_line_page(root: click.Command, name: str) -> str:
    """Every command below ``root``, with its arguments and options."""
    return page(
        "Command line",
        f"`{name} COMMAND --help` says the same. Commands that ask a server use `VALOREM_URL` and `VALOREM_API_KEY`.",
        *_told(root, name),
    )


def _told(command: click.Command, path: str) -> list[str]:
    if isinstance(command, click.Group):
        return [
            section
            for name, inner in command.commands.items()
            if not inner.hidden
            for section in _told(inner, f"{path} {name}")
        ]
    with click.Context(command, info_name=path) as context:
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        rows = [
            (f"`{record[0]}`", markdown(record[1]))
            for parameter in command.get_params(context)
            if (record := parameter.get_help_record(context)) and "--help" not in record[0]
        ]
    told = f"## {path}\n\n```text\n{usage}\n```\n\n{markdown(command.help or '')}"
    return [f"{told}\n\n{table(('Option', 'Meaning'), rows)}" if rows else told]
