"""What an import remembers beside its file: where it is, and the rows it refused."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from valorem.cli.importing.reading import Table
from valorem.cli.importing.shaping import Refused
from valorem.core.errors import ConflictError
from valorem.core.numbers import plain
from valorem.core.time import write_instant

_STATUSES = ("accepted", "duplicate", "conflict", "rejected", "refused", "skipped")


@dataclass
class Progress:
    """How far an import is.

    Attributes:
        digest: Of the file; another file under the same name starts anew.
        rows: Rows dealt with, from the first.
        position: The same in the unit of :attr:`Table.size`.
        counts: Rows by what became of them: accepted, duplicate, conflict, rejected (by the server), refused (by the
            map) and skipped.
        refused_size: Bytes of the file of refused rows that belong to these rows.
    """

    digest: str
    rows: int = 0
    position: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_STATUSES, 0))
    refused_size: int = 0

    def add(self, statuses: Iterable[str]) -> None:
        """Count what became of some rows."""
        for status, count in Counter(statuses).items():
            self.counts[status] += count


def progress_path(table: Table) -> Path:
    """The progress file beside the input."""
    return table.path.with_name(table.path.name + ".import.json")


def load_progress(table: Table) -> Progress:
    """Where an earlier run of the same file stopped, or the start.

    Raises:
        ConflictError: If the file's contents changed since that run: which rows were sent can then no longer be told.
    """
    path = progress_path(table)
    if not path.exists():
        return Progress(table.digest)
    progress = Progress(**json.loads(path.read_text(encoding="utf-8")))
    if progress.digest != table.digest:
        raise ConflictError(
            f"{table.path.name} is not the file whose import stopped at row {progress.rows}",
            hint=f"put that file back, or remove {path.name} to import this one from its first row",
        )
    return progress


def save_progress(table: Table, progress: Progress) -> None:
    """Write the progress so that a crash leaves the old or the new one, never half."""
    path = progress_path(table)
    waiting = path.with_name(path.name + ".new")
    with waiting.open("w", encoding="utf-8") as file:
        json.dump(asdict(progress), file)
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(path)


class RefusedRows:
    """The file of rows that gave no event: row number, field, reason, and the cells as they were.

    It is CSV beside a CSV and NDJSON beside everything else, and appears with the first refused row.
    """

    def __init__(self, table: Table) -> None:
        self._columns = table.columns if table.format == "csv" else None
        ending = "csv" if self._columns is not None else "ndjson"
        self.path = table.path.with_name(f"{table.path.name}.refused.{ending}")

    def cut(self, size: int) -> None:
        """Drop what an interrupted run wrote after its last saved progress."""
        if size == 0:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            os.truncate(self.path, size)

    def append(self, refused: Iterable[Refused]) -> int:
        """Add rows and return the file's size, safely on disk."""
        rows = list(refused)
        if not rows:
            return self.path.stat().st_size if self.path.exists() else 0
        new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if self._columns is None:
                file.writelines(json.dumps(_record(each), default=_plainly) + "\n" for each in rows)
            else:
                writer = csv.writer(file)
                if new:
                    writer.writerow(("row", "field", "reason", *self._columns))
                for each in rows:
                    cells = (each.row.cells.get(column, "") for column in self._columns)
                    writer.writerow((each.row.number, each.field, each.reason, *cells))
            file.flush()
            os.fsync(file.fileno())
            return file.tell()


def _record(refused: Refused) -> dict[str, Any]:
    return {
        "row": refused.row.number,
        "field": refused.field,
        "reason": refused.reason,
        "cells": dict(refused.row.cells),
    }


def _plainly(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return write_instant(value) if hasattr(value, "tzinfo") and value.tzinfo else str(value)
