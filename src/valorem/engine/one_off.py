"""One-off invoices: lines that somebody writes, settled, numbered and final at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.payment_terms import PaymentTerms
from valorem.core.billing.taxes import TaxMode
from valorem.core.contracts.customer import check_text
from valorem.core.errors import InvalidInputError
from valorem.core.ids import part_of
from valorem.core.money import round_money
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.periods import Interval
from valorem.core.pricing.lines import Step
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine, Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.sealing import SERIES, Final, Manner, seal, unanswered, written_lines
from valorem.engine.settings import get_billing_settings
from valorem.engine.taxing import Question, ask_now, tax_problem
from valorem.store.postgres import ingest, invoices
from valorem.store.postgres.invoices import InvoiceHeader

_NO_DIMENSIONS: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line as somebody writes it.

    Attributes:
        description: What is charged.
        unit_amount: The price of one; below zero gives something back.
        quantity: How many.
        tax_code: As ``product`` in the rows of ``taxes/``.
    """

    description: str
    unit_amount: Decimal
    quantity: Decimal = ONE
    tax_code: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenInvoice:
    """An invoice as somebody writes it.

    Attributes:
        customer: The customer's key.
        lines: At least one.
        terms: By when it must be paid; the workspace's where ``None``.
        amounts: Whether its amounts are without tax, or with it.
        purchase_order: Printed.
        start: The first instant it is for; now where ``None``.
        end: The first instant it is not for.
    """

    customer: str
    lines: Sequence[WrittenLine]
    terms: PaymentTerms | None = None
    amounts: TaxMode = "exclusive"
    purchase_order: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def write_invoice(tx: Transaction, new: WrittenInvoice) -> InvoiceHeader:
    """Issue an invoice that no contract gives.

    Raises:
        NotFoundError: If there is no such customer.
        InvalidInputError: Naming the field.
    """
    get_customer(tx, new.customer)
    last = invoices.lock_series(tx.connection, tx.workspace.id, SERIES)
    header, invoice, manner = _draft(tx, new, index=last + 1)
    invoices.insert_drafts(tx.connection, tx.workspace.id, [header], tx.now)
    inputs = {**written_lines(invoice), "cutoff_seq": ingest.committed(tx.connection, tx.workspace.id)}
    seal(tx, [Final(header, invoice, inputs, manner)], last)
    final = invoices.load(tx.connection, tx.workspace.id, header.id)
    assert final is not None  # sealed a moment ago
    return final


def ask_taxes(engine: Engine, workspace: int, new: WrittenInvoice) -> None:
    """Ask an outside tax engine about an invoice that is about to be written, where the workspace has one.

    Raises:
        OverloadedError: Where it does not answer. Nothing was written.
    """
    with engine.transaction(workspace) as tx:
        question = tax_question(tx, new)
    if question is not None:
        ask_now(engine, workspace, question.request)


def tax_question(tx: Transaction, new: WrittenInvoice) -> Question | None:
    """What an outside tax engine has to be asked before an invoice can be written; None where there is nothing."""
    if get_billing_settings(tx).taxes != "outside":
        return None
    draft, invoice, manner = _draft(tx, new, index=1)
    return next(iter(unanswered(tx, [Final(draft, invoice, {}, manner)]).values()), None)


def waits_for_taxes(tx: Transaction, new: WrittenInvoice) -> str | None:
    """Why an invoice cannot be written yet, as the tax engine's last try went; None where it can, or nobody has tried."""
    if tax_question(tx, new) is None:
        return None
    _, invoice, manner = _draft(tx, new, index=1)
    return tax_problem(tx, invoice, manner.zone)


def _draft(tx: Transaction, new: WrittenInvoice, *, index: int) -> tuple[InvoiceHeader, Invoice, Manner]:
    customer = get_customer(tx, new.customer)
    start = quarter_hour_of(tx.now) if new.start is None else new.start
    end = (
        max(start, quarter_hour_of(tx.now)) + timedelta(seconds=QUARTER_HOUR_S)
        if new.end is None
        else new.end
    )
    if end <= start:
        raise InvalidInputError("it ends before it starts", field="end", hint="give a later instant")
    period = Interval(start, end)
    invoice = _invoice(tx, new, customer.currency, period, index=index)
    header = InvoiceHeader(
        id=new_id("inv", part_of(tx.workspace.id, customer.key), tx.now),
        contract="",
        customer=customer.key,
        index=index,
        kind="one_off",
        status="draft",
        number=None,
        currency=customer.currency,
        period_start=period.start,
        period_end=period.end,
        issued_at=tx.now,
        finalise_at=tx.now,
        total=None,
    )
    manner = Manner(customer.zone, tuple(line.tax_code for line in new.lines), new.terms, new.amounts)
    return header, invoice, manner


@exact
def _invoice(tx: Transaction, new: WrittenInvoice, currency: str, period: Interval, *, index: int) -> Invoice:
    if not new.lines:
        raise InvalidInputError("an invoice without lines", field="lines", hint="write at least one")
    if new.purchase_order is not None:
        check_text(new.purchase_order, "purchase_order", 200)
    lines = tuple(_line(line, currency, period, number) for number, line in enumerate(new.lines, 1))
    return Invoice(
        contract="",
        customer=new.customer,
        plan="",
        catalog_version=0,
        currency=currency,
        kind="one_off",
        boundary_index=index,
        issued_at=tx.now,
        closed=period,
        ahead=None,
        lines=lines,
        total=sum((line.amount for line in lines), ZERO),
        unpriced=(),
        purchase_order=new.purchase_order,
    )


def _line(written: WrittenLine, currency: str, period: Interval, number: int) -> Line:
    check_text(written.description, f"lines.{number - 1}.description")
    if written.quantity <= 0:
        raise InvalidInputError(
            f"a quantity of {plain(written.quantity)}",
            field=f"lines.{number - 1}.quantity",
            hint="give more than zero",
        )
    amount = written.unit_amount * written.quantity
    return Line(
        kind="charge",
        key="one_off",
        charge=f"one_off:{number}",
        timing="in_arrears",
        description=written.description,
        period_index=0,
        period=period,
        quantity=written.quantity,
        unit_amount=written.unit_amount,
        exact_amount=amount,
        amount=round_money(amount, currency),
        dimensions=_NO_DIMENSIONS,
        steps=(Step("amount", f"{plain(written.quantity)} × {plain(written.unit_amount)}", amount),),
        pipeline=(),
        selectors=(),
    )
