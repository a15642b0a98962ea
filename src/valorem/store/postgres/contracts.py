"""Contracts: their terms, and when each is due next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from valorem.core.catalog.plans import Policies
from valorem.core.contracts.contract import Contract, Dated, Leg
from valorem.core.contracts.written import read_standings, write_standings
from valorem.core.ids import part_in, part_of
from valorem.core.numbers import parse_decimal, plain
from valorem.core.periods import Cadence, Interval
from valorem.core.time import parse_instant, write_instant
from valorem.store.postgres.database import Connection, Row

_COLUMNS = "id, workspace, customer, plan, catalog_version, starts_at, ends_at, terms, next_index, next_at"


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A contract and where its billing stands.

    Attributes:
        contract: The terms.
        next_index: The boundary to be drafted next.
        next_at: Its instant; None when nothing is left to bill.
    """

    contract: Contract
    next_index: int
    next_at: datetime | None


def insert(
    connection: Connection, contract: Contract, *, next_index: int, next_at: datetime | None, now: datetime
) -> None:
    """Insert a contract."""
    connection.execute(
        "INSERT INTO contract (part, workspace, id, customer, plan, catalog_version, starts_at, ends_at, terms,"
        " next_index, next_at, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_of(contract.workspace, contract.customer),
            contract.workspace,
            contract.id,
            contract.customer,
            contract.plan,
            contract.catalog_version,
            contract.start,
            contract.end,
            Jsonb(write_terms(contract)),
            next_index,
            next_at,
            now,
        ),
    )


def load(
    connection: Connection, workspace: int, contract_id: str, *, lock: bool = False
) -> ContractRow | None:
    """One contract by id; ``lock`` keeps others from billing or changing it until the transaction ends."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM contract WHERE part = %s AND workspace = %s AND id = %s"
        + (" FOR UPDATE" if lock else ""),
        (part_in(contract_id, "ctr"), workspace, contract_id),
    ).fetchone()
    return _contract_row(row) if row else None


def load_page(
    connection: Connection, workspace: int, *, customer: str | None, after: str | None, limit: int
) -> list[ContractRow]:
    """Contracts in order of id, from after an id on; of one customer where given."""
    if customer is not None:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM contract WHERE part = %s AND workspace = %s AND customer = %s AND id > %s"
            " ORDER BY id LIMIT %s",
            (part_of(workspace, customer), workspace, customer, after or "", limit),
        )
    else:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM contract WHERE workspace = %s AND id > %s ORDER BY id LIMIT %s",
            (workspace, after or "", limit),
        )
    return [_contract_row(row) for row in rows]


def load_on_plans(
    connection: Connection, workspace: int, plans: Sequence[str], *, limit: int
) -> tuple[list[Contract], int]:
    """Contracts on any of some plans in order of id, at most ``limit``, and how many there are in all."""
    where = "WHERE workspace = %s AND plan = ANY(%s)"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contract {where} ORDER BY id LIMIT %s", (workspace, list(plans), limit)
    ).fetchall()
    total = connection.execute(
        f"SELECT count(*) AS n FROM contract {where}", (workspace, list(plans))
    ).fetchone()
    assert total is not None
    return [_contract_row(row).contract for row in rows], int(total["n"])


def due(connection: Connection, workspace: int, now: datetime, *, limit: int) -> list[ContractRow]:
    """Contracts with a boundary at or before now, the earliest first, locked until the transaction ends."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contract WHERE workspace = %s AND next_at <= %s AND parked_at IS NULL"
        " ORDER BY next_at, id LIMIT %s FOR UPDATE",
        (workspace, now, limit),
    )
    return [_contract_row(row) for row in rows]


def load_many(
    connection: Connection, workspace: int, ids: Sequence[str], *, lock: bool = False
) -> dict[str, ContractRow]:
    """Contracts by id; ``lock`` keeps others from changing them until the transaction ends."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contract WHERE part = ANY(%s) AND workspace = %s AND id = ANY(%s)"
        + (" ORDER BY id FOR UPDATE" if lock else ""),
        (sorted({part_in(one, "ctr") for one in ids}), workspace, list(ids)),
    )
    return {row["id"]: _contract_row(row) for row in rows}


def close_usage(connection: Connection, workspace: int, now: datetime) -> int:
    """Take no more use of the periods whose invoices become final now, where contracts say so; returns how many close."""
    return connection.execute(
        "UPDATE contract SET usage_closed_until = due.at FROM ("
        "  SELECT part, contract, max(issued_at) AS at FROM invoice WHERE workspace = %s AND status = 'draft'"
        "  AND closes_usage AND finalise_at <= %s GROUP BY 1, 2 ORDER BY 1, 2) AS due"
        " WHERE contract.part = due.part AND contract.workspace = %s AND contract.id = due.contract"
        " AND (usage_closed_until IS NULL OR usage_closed_until < due.at)",
        (workspace, now, workspace),
    ).rowcount


def closed_usage(connection: Connection, workspace: int) -> list[tuple[str, Interval]]:
    """The customers of contracts that take no more use of what is billed, each with the time that is."""
    rows = connection.execute(
        "SELECT customer, starts_at, usage_closed_until FROM contract"
        " WHERE workspace = %s AND usage_closed_until > starts_at ORDER BY customer, id",
        (workspace,),
    )
    return [(row["customer"], Interval(row["starts_at"], row["usage_closed_until"])) for row in rows]


def next_due_at(connection: Connection, workspace: int) -> datetime | None:
    """The earliest boundary of any contract still to be drafted."""
    row = connection.execute(
        "SELECT min(next_at) AS at FROM contract WHERE workspace = %s AND next_at IS NOT NULL AND parked_at IS NULL",
        (workspace,),
    ).fetchone()
    return row["at"] if row else None


def move_on(connection: Connection, moved: Sequence[ContractRow]) -> None:
    """Note which boundary comes next for contracts that the caller has locked."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE contract SET next_index = %s, next_at = %s WHERE part = %s AND workspace = %s AND id = %s",
            [
                (
                    row.next_index,
                    row.next_at,
                    part_of(row.contract.workspace, row.contract.customer),
                    row.contract.workspace,
                    row.contract.id,
                )
                for row in moved
            ],
        )


def write_contract(contract: Contract) -> dict[str, Any]:
    """A contract as JSON values, whole."""
    return {
        "id": contract.id,
        "workspace": contract.workspace,
        "customer": contract.customer,
        "plan": contract.plan,
        "catalog_version": contract.catalog_version,
        "start": write_instant(contract.start),
        "end": write_instant(contract.end) if contract.end else None,
        "terms": write_terms(contract),
    }


def read_contract(written: Mapping[str, Any]) -> Contract:
    """The contract that :func:`write_contract` wrote."""
    end = written["end"]
    row = {
        **written,
        "starts_at": parse_instant(written["start"]),
        "ends_at": parse_instant(end) if end else None,
    }
    return _contract(row)


def write_terms(contract: Contract) -> dict[str, Any]:
    """What a contract's row keeps as JSON."""
    return {
        "time_zone": contract.time_zone,
        "currency": contract.currency,
        "every": [contract.every.count, contract.every.unit],
        "anchor": write_instant(contract.anchor),
        "seats": {
            key: [[write_instant(since), plain(quantity)] for since, quantity in history]
            for key, history in contract.seats.items()
        },
        "policies": contract.policies.model_dump(mode="json") if contract.policies else None,
        "purchase_order": contract.purchase_order,
        "metadata": dict(contract.metadata),
        "standings": write_standings(contract.standings),
        "legs": [
            [write_instant(leg.since), leg.every.count, leg.every.unit, write_instant(leg.anchor)]
            for leg in contract.legs
        ],
        "term": [contract.term.count, contract.term.unit] if contract.term else None,
        "first_start": write_instant(contract.first_start) if contract.first_start else None,
    }


def _contract_row(row: Row) -> ContractRow:
    return ContractRow(_contract(row), row["next_index"], row["next_at"])


def _contract(row: Row) -> Contract:
    terms = row["terms"]
    return Contract(
        id=row["id"],
        workspace=row["workspace"],
        customer=row["customer"],
        plan=row["plan"],
        catalog_version=row["catalog_version"],
        start=row["starts_at"],
        end=row["ends_at"],
        time_zone=terms["time_zone"],
        currency=terms["currency"],
        every=Cadence(*terms["every"]),
        anchor=parse_instant(terms["anchor"]),
        seats={
            key: tuple(Dated(parse_instant(since), parse_decimal(quantity)) for since, quantity in history)
            for key, history in terms["seats"].items()
        },
        policies=Policies.model_validate(terms["policies"]) if terms["policies"] else None,
        purchase_order=terms["purchase_order"],
        metadata=terms["metadata"],
        # Rows from before a contract could change have none of these.
        standings=read_standings(terms.get("standings", ())),
        legs=tuple(
            Leg(parse_instant(since), Cadence(count, unit), parse_instant(anchor))
            for since, count, unit, anchor in terms.get("legs", ())
        ),
        term=Cadence(*terms["term"]) if terms.get("term") else None,
        first_start=parse_instant(terms["first_start"]) if terms.get("first_start") else None,
    )
