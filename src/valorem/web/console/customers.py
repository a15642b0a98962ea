"""Customers: who needs me now, and what will each pay, and why."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from zoneinfo import available_timezones

from valorem.core.billing.projection import Preview
from valorem.core.contracts.customer import Customer
from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.numbers import parse_decimal
from valorem.engine import customers as verbs
from valorem.engine.aliases import attach_alias
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.contracts import NewContract, create_contract, list_contracts
from valorem.engine.credits.reading import GrantLeft, balances
from valorem.engine.engine import Transaction
from valorem.engine.invoices import list_invoices, preview_invoice
from valorem.engine.settling import standings
from valorem.engine.usage import usage
from valorem.store.postgres.contracts import ContractRow
from valorem.web.bars import Part
from valorem.web.burned import burned
from valorem.web.charts.chart import Chart
from valorem.web.charts.usage import usage_chart
from valorem.web.console.customer_limits import edges_for
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.standings import Standing, Standings, Watch
from valorem.web.templating import segment

_MOST_ROWS = 100
_SORTS = ("projected", "so_far", "name")


@dataclass(frozen=True, slots=True)
class Row:
    """One customer in the list, with one of its running contracts."""

    key: str
    name: str
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Running:
    """One contract of a customer, and its next invoice where it runs."""

    row: ContractRow
    preview: Preview | None
    why_not: ValoremError | None


def add(site: Site, watch: Watch) -> None:
    """Add the pages."""
    site.page("/customers", partial(_list, watch=watch))
    site.page("/new-customer", _new)
    site.action("/new-customer", "customers", _create)
    site.page("/customers/{key:path}/contracts/new", _new_contract)
    site.action("/customers/{key:path}/contracts/new", "customers", _create_contract)
    site.action("/customers/{key:path}/aliases", "customers", _add_alias)
    site.page("/customers/{key:path}", partial(_show, watch=watch))


def _list(visit: Visit, watch: Watch) -> Page:
    seen = watch.look(visit.workspace.id, patience_s=0.1)
    text = visit.query("q").lower()
    sort = visit.query("sort") if visit.query("sort") in _SORTS else "projected"
    rows = [row for row in _rows(seen) if text in row.key.lower() or text in row.name.lower()]
    rows.sort(key=lambda row: _order(row, sort))
    values = {
        "here": "customers",
        "seen": seen,
        "rows": rows[:_MOST_ROWS],
        "found": len(rows),
        "text": visit.query("q"),
        "sort": sort,
        "sums": seen.sums(),
        "largest": max((row.standing.projected for row in rows if row.standing), default=Decimal(0)),
    }
    return Page("console/customers.html", values)


def _rows(seen: Standings) -> list[Row]:
    by_customer: dict[str, list[Standing | None]] = {}
    for each in seen.running.values():
        by_customer.setdefault(each.customer, []).append(each)
    return [
        Row(key, name, standing)
        for key, name in seen.names.items()
        for standing in (by_customer.get(key) or [None])
    ]


def _order(row: Row, sort: str) -> tuple[Decimal, str]:
    if sort == "name" or row.standing is None:
        return (Decimal(0) if sort == "name" else Decimal(1), row.name.lower())
    amount = row.standing.projected if sort == "projected" else row.standing.so_far
    return (-amount, row.name.lower())


def _new(visit: Visit) -> Page:
    return _form(visit)


def _form(visit: Visit, refused: ValoremError | None = None) -> Page:
    values = {
        "here": "customers",
        "refused": refused,
        "form": visit.form,
        "zones": sorted(available_timezones()),
    }
    return Page("console/customer_new.html", values, 200 if refused is None else refused.status)


def _create(visit: Visit) -> Answer:
    form = visit.form
    aliases = [part.strip() for part in form.get("aliases", "").split(",") if part.strip()]
    try:
        with visit.acting() as tx:
            made = verbs.create_customer(
                tx,
                key=form.get("key", "").strip(),
                name=form.get("name", "").strip(),
                currency=form.get("currency", "").strip(),
                zone=form.get("zone", "").strip() or "UTC",
                aliases=aliases,
            )
            visit.note(tx, visit.deed("customer.create", made.key, after={"name": made.name}))
    except ValoremError as error:
        return _form(visit, error)
    return Go(_path(visit, made.key), f"{made.name} is a customer. Now put it on a plan.")


def _add_alias(visit: Visit) -> Answer:
    key, subject = visit.path("key"), visit.form.get("subject", "").strip()
    with visit.acting() as tx:
        before = verbs.get_customer(tx, key)
        after = attach_alias(tx, key, subject)
        deed = visit.deed(
            "customer.add_alias",
            key,
            before={"subjects": list(before.subjects)},
            after={"subjects": list(after.subjects)},
        )
        visit.note(tx, deed)
    return Go(_path(visit, key), f"Events of {subject} are {after.name}'s, past and future.")


def _new_contract(visit: Visit) -> Page:
    return _contract_form(visit)


def _contract_form(visit: Visit, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        customer = verbs.get_customer(tx, visit.path("key"))
        _, catalog = current_catalog(tx)
        now = tx.now
    values = {
        "here": "customers",
        "customer": customer,
        "plans": list(catalog.plans.values()),
        "seats": sorted(
            {fee.per for plan in catalog.plans.values() for fee in plan.fees.values() if fee.per}
        ),
        "refused": refused,
        "form": visit.form,
        "now": now,
    }
    return Page("console/contract_new.html", values, 200 if refused is None else refused.status)


def _create_contract(visit: Visit) -> Answer:
    form, key = visit.form, visit.path("key")
    try:
        with visit.acting() as tx:
            plan = current_catalog(tx)[1].plan(form.get("plan", ""))
            wanted = {fee.per for fee in plan.fees.values() if fee.per}
            seats = {
                name: parse_decimal(form.get(f"seats-{name}", "").strip() or "0", f"seats-{name}")
                for name in sorted(wanted)
            }
            start = _instant(form.get("start", ""), "start")
            made = create_contract(
                tx,
                NewContract(
                    customer=key,
                    plan=plan.key,
                    start=start,
                    anchor="calendar" if form.get("anchor") == "calendar" else "start",
                    seats=seats,
                    purchase_order=form.get("purchase_order", "").strip() or None,
                ),
            )
            after = {"customer": key, "plan": plan.key, "catalog_version": made.catalog_version}
            visit.note(tx, visit.deed("contract.create", made.id, after=after))
    except ValoremError as error:
        return _contract_form(visit, error)
    return Go(f"{visit.home}/contracts/{made.id}", f"{key} is on {plan.name}.")


def _instant(text: str, field: str) -> datetime | None:
    """What a browser's field for date and time sends, read as UTC."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip().removesuffix("Z") + "+00:00")
    except ValueError:
        raise InvalidInputError(
            f"{text[:40]!r} is no date and time", field=field, hint="write it as 2026-03-05T00:00"
        ) from None
    return found


def _show(visit: Visit, watch: Watch) -> Page:
    key = visit.path("key")
    watch.look(visit.workspace.id, patience_s=0)
    with visit.reading() as tx:
        customer = verbs.get_customer(tx, key)
        rows = list_contracts(tx, customer=key, limit=_MOST_ROWS)
        contracts = [_running(tx, row) for row in rows]
        invoices = standings(tx, list_invoices(tx, customer=key, newest_first=True, limit=12))
        _, edges = edges_for(tx, key, customer.currency)
        held = balances(tx, key)
        parts = [
            found
            for each in contracts
            if each.preview
            for found in burned(tx, each.row.contract, each.preview.so_far)
        ]
        now = tx.now
        chart, meters, meter, dimension, dimensions = _usage(visit, tx, customer, rows)
    values = {
        "here": "customers",
        "customer": customer,
        "contracts": contracts,
        "invoices": invoices,
        "chart": chart,
        "meters": meters,
        "meter": meter,
        "dimension": dimension,
        "dimensions": dimensions,
        "edges": edges,
        "credits": [(each, [_part(left) for left in each.grants]) for each in held],
        "parts": parts,
        "now": now,
    }
    return Page("console/customer.html", values)


def _part(left: GrantLeft) -> Part:
    return Part(left.grant.source, left.grant.amount - left.remaining - left.held, left.grant.amount)


def _running(tx: Transaction, row: ContractRow) -> Running:
    contract = row.contract
    if contract.start > tx.now or (contract.end is not None and contract.end <= tx.now):
        return Running(row, None, None)
    try:
        return Running(row, preview_invoice(tx, contract.id), None)
    except ValoremError as error:
        return Running(row, None, error)


def _usage(
    visit: Visit, tx: Transaction, customer: Customer, rows: list[ContractRow]
) -> tuple[Chart | None, list[str], str, str, tuple[str, ...]]:
    """The chart of one meter: the one asked for, or the first that the customer's plan prices."""
    version = rows[-1].contract.catalog_version if rows else None
    try:
        catalog = catalog_at(tx, version) if version else current_catalog(tx)[1]
    except NotFoundError:
        return None, [], "", "", ()
    priced = list(catalog.plans[rows[-1].contract.plan].prices) if rows else []
    meters = [*priced, *(key for key in catalog.meters if key not in priced)]
    if not meters:
        return None, [], "", "", ()
    chosen = visit.query("meter") if visit.query("meter") in meters else meters[0]
    meter = catalog.meters[chosen]
    dimensions = meter.dimension_names
    wanted = visit.query("by") if visit.query("by") in dimensions else next(iter(dimensions), "")
    try:
        report = usage(
            tx, customer=customer.key, meter=chosen, by="day", dimensions=(wanted,) if wanted else ()
        )
    except InvalidInputError:
        return None, meters, chosen, wanted, dimensions  # more days than one answer holds
    chart = usage_chart("usage", meter.name or chosen, report, wanted or None, tx.now)
    return chart, meters, chosen, wanted, dimensions


def _path(visit: Visit, key: str) -> str:
    return f"{visit.home}/customers/{segment(key)}"
