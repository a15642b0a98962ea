"""Edits of contracts: recorded once, in order, and never changed; what was signed stays beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import Edit
from valorem.core.contracts.history import History
from valorem.core.contracts.parking import Parked
from valorem.core.contracts.written import read_edit, write_edit
from valorem.core.ids import part_in, part_of
from valorem.store.postgres.contracts import ContractRow, read_contract, write_contract, write_terms
from valorem.store.postgres.database import Connection

Invoiced = Literal["next", "at_once"]


@dataclass(frozen=True, slots=True)
class EditRow:
    """An edit, and where its money goes.

    Attributes:
        edit: The edit.
        border: The border that was to be billed next when it was recorded.
        reopens: The first period that border looks at again; None where the edit reaches no billed one.
        invoiced: Whether the change has an invoice of its own.
    """

    edit: Edit
    border: int
    reopens: int | None
    invoiced: Invoiced


def load_history(connection: Connection, contract: Contract) -> tuple[History, list[EditRow]]:
    """A contract as it was signed and every edit since, with where the money of each goes."""
    place = (part_in(contract.id, "ctr"), contract.workspace, contract.id)
    signed = connection.execute(
        "SELECT signed FROM contract WHERE part = %s AND workspace = %s AND id = %s", place
    ).fetchone()
    rows = connection.execute(
        "SELECT edit, border, reopens, invoiced FROM contract_edit"
        " WHERE part = %s AND workspace = %s AND contract = %s ORDER BY seq",
        place,
    ).fetchall()
    edits = [EditRow(read_edit(row["edit"]), row["border"], row["reopens"], row["invoiced"]) for row in rows]
    original = read_contract(signed["signed"]) if signed and signed["signed"] else contract
    return History(original, tuple(each.edit for each in edits)), edits


def record(connection: Connection, signed: Contract, seq: int, row: EditRow) -> None:
    """Record an edit of a contract that the caller has locked; the first one keeps what was signed."""
    place = (part_in(signed.id, "ctr"), signed.workspace, signed.id)
    if seq == 1:
        connection.execute(
            "UPDATE contract SET signed = %s WHERE part = %s AND workspace = %s AND id = %s",
            (Jsonb(write_contract(signed)), *place),
        )
    connection.execute(
        "INSERT INTO contract_edit (part, workspace, contract, seq, id, edit, border, reopens, invoiced)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (*place, seq, row.edit.id, Jsonb(write_edit(row.edit)), row.border, row.reopens, row.invoiced),
    )


def replace_folded(connection: Connection, row: ContractRow, parked: Parked | None) -> None:
    """Store what follows from the edits of a contract that the caller has locked, and whether it is parked."""
    contract = row.contract
    connection.execute(
        "UPDATE contract SET plan = %s, catalog_version = %s, starts_at = %s, ends_at = %s, terms = %s, next_at = %s,"
        " parked_at = %s, parked_reason = %s WHERE part = %s AND workspace = %s AND id = %s",
        (
            contract.plan,
            contract.catalog_version,
            contract.start,
            contract.end,
            Jsonb(write_terms(contract)),
            row.next_at,
            parked.since if parked else None,
            parked.reason if parked else None,
            part_of(contract.workspace, contract.customer),
            contract.workspace,
            contract.id,
        ),
    )


def park(connection: Connection, workspace: int, parked: Parked) -> None:
    """Let nothing of a contract be invoiced until somebody has looked."""
    connection.execute(
        "UPDATE contract SET parked_at = %s, parked_reason = %s WHERE part = %s AND workspace = %s AND id = %s",
        (parked.since, parked.reason, part_in(parked.contract, "ctr"), workspace, parked.contract),
    )


def load_parked(
    connection: Connection, workspace: int, ids: Sequence[str] | None = None
) -> dict[str, Parked]:
    """The contracts that are parked, of some where given, the longest first."""
    rows = connection.execute(
        "SELECT id, parked_at, parked_reason FROM contract WHERE workspace = %s AND parked_at IS NOT NULL"
        " AND (%s::text[] IS NULL OR id = ANY(%s)) ORDER BY parked_at, id",
        (workspace, None if ids is None else list(ids), None if ids is None else list(ids)),
    )
    return {row["id"]: Parked(row["id"], row["parked_reason"], row["parked_at"]) for row in rows}


def reopened_at(connection: Connection, workspace: int, asked: Sequence[tuple[str, int]]) -> list[int | None]:
    """The first billed period that the invoice at each of some contracts' borders looks at again, for edits dated back."""
    rows = connection.execute(
        "SELECT place, min(reopens) AS first FROM unnest(%s::smallint[], %s::text[], %s::integer[]) WITH ORDINALITY"
        " AS wanted (part, contract, border, place) JOIN contract_edit AS known ON known.part = wanted.part"
        " AND known.workspace = %s AND known.contract = wanted.contract AND known.border = wanted.border GROUP BY 1",
        (
            [part_in(contract, "ctr") for contract, _ in asked],
            [contract for contract, _ in asked],
            [border for _, border in asked],
            workspace,
        ),
    )
    found = {row["place"]: row["first"] for row in rows}
    return [found.get(place) for place in range(1, len(asked) + 1)]


def released_at(connection: Connection, workspace: int, contract: str, border: int) -> bool:
    """Whether somebody has looked at the contract and released it while this border was to be billed next."""
    wanted: list[dict[str, Any]] = [{"kind": "release"}]
    row = connection.execute(
        "SELECT 1 FROM contract_edit WHERE part = %s AND workspace = %s AND contract = %s AND border = %s"
        " AND edit -> 'changes' @> %s",
        (part_in(contract, "ctr"), workspace, contract, border, Jsonb(wanted)),
    ).fetchone()
    return row is not None


def drop_drafts_from(connection: Connection, workspace: int, contract: str, index: int) -> None:
    """Take back the drafts of borders that a contract no longer has."""
    connection.execute(
        "DELETE FROM invoice WHERE part = %s AND workspace = %s AND contract = %s AND index >= %s"
        " AND kind = 'period' AND status = 'draft'",
        (part_in(contract, "ctr"), workspace, contract, index),
    )


def contracts_with(connection: Connection, workspace: int, edit_id: str) -> list[tuple[str, Edit]]:
    """The contracts that have an edit of that id, and the edit of each."""
    rows = connection.execute(
        "SELECT contract, edit FROM contract_edit WHERE workspace = %s AND id = %s ORDER BY contract",
        (workspace, edit_id),
    )
    return [(row["contract"], read_edit(row["edit"])) for row in rows]


def first_draft(connection: Connection, workspace: int, contract: str) -> int | None:
    """The earliest border of a contract that still has a draft."""
    row = connection.execute(
        "SELECT min(index) AS index FROM invoice WHERE part = %s AND workspace = %s AND contract = %s"
        " AND kind = 'period' AND status = 'draft'",
        (part_in(contract, "ctr"), workspace, contract),
    ).fetchone()
    return row["index"] if row else None
