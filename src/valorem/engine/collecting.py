"""Collecting: asks providers for what was asked for, and asks again how it stands wherever an answer was lost.

What is about to be done is committed before the provider is called, and what it said after: a crash between the two leaves
a payment that was asked without an answer, which is looked up, never charged under another name.
"""

from dataclasses import dataclass, replace

from valorem.core.payments.payment import NextStep, Payment, Report, answer_lost, asked, next_step
from valorem.core.payments.provider import (
    AnswerLostError,
    Charge,
    Payer,
    PaymentProvider,
    ProviderRefusedError,
    RefundRequest,
)
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine
from valorem.engine.payments import ask_for_payment, header_of, hear
from valorem.store.postgres import lives, payments
from valorem.store.postgres.payments import PaymentRow

_PAGE = 100


@dataclass(frozen=True, slots=True)
class _Work:
    """What to do about one payment, with all that the provider must be told."""

    step: NextStep
    row: PaymentRow
    number: str
    payer: tuple[str, str | None] | None
    buyer: Payer
    paid_as: str | None


def collect(engine: Engine, workspace: int) -> int:
    """Move every payment on that waits for a provider; how many were moved. Safe to repeat, in parallel, or to be killed."""
    moved, after = charge_open(engine, workspace), ""
    while True:
        with engine.transaction(workspace) as tx:
            ids = payments.waiting(tx.connection, workspace, after=after, limit=_PAGE)
        if not ids:
            return moved
        for each in ids:
            moved += _move(engine, workspace, each)
        after = ids[-1]


def charge_open(engine: Engine, workspace: int) -> int:
    """Ask for every open invoice whose customer is charged by itself, once; how many were asked for."""
    with engine.transaction(workspace) as tx:
        found = payments.unasked(tx.connection, workspace, list(engine.payments), limit=_PAGE)
        for invoice, provider in found:
            ask_for_payment(tx, invoice, engine.payments[provider])
    return len(found)


def _move(engine: Engine, workspace: int, payment: str) -> bool:
    work = _claim(engine, workspace, payment)
    if work is None:
        return False
    provider = engine.payments[work.row.payment.provider]
    try:
        report = _look(provider, work) if work.step == "ask" else None
        if report is None:
            if work.step == "ask":
                _ask_again(engine, workspace, payment)
            report = _take(engine, workspace, provider, work)
    except AnswerLostError:
        with engine.transaction(workspace) as tx:
            row = payments.load(tx.connection, workspace, payment, lock=True)
            assert row is not None  # never deleted
            payments.save(tx.connection, workspace, replace(row, payment=answer_lost(row.payment)), tx.now)
        return True
    except ProviderRefusedError as refused:
        with engine.transaction(workspace) as tx:
            row = payments.load(tx.connection, workspace, payment, lock=True)
            assert row is not None  # never deleted
            payments.save(tx.connection, workspace, replace(row, problem=str(refused)[:500]), tx.now)
        return True
    with engine.transaction(workspace) as tx:
        hear(tx, payment, [report])
    return True


def _claim(engine: Engine, workspace: int, payment: str) -> _Work | None:
    """Decide the next step and write down that it is about to be taken; None where there is nothing to do."""
    now = engine.real_now()
    with engine.transaction(workspace) as tx:
        row = payments.load(tx.connection, workspace, payment, lock=True)
        if row is None or row.payment.provider not in engine.payments or row.problem is not None:
            return None
        step = next_step(row.payment, now, last_lookup=row.looked_up_at)
        if step not in ("charge", "ask"):
            return None
        header = header_of(tx, row)
        owes = lives.load_many(tx.connection, workspace, [header.id])[header.id].payable > 0
        if step == "charge" and row.payment.refunds is None and not owes:
            unneeded = replace(row, problem="nothing is owed any more; nobody was asked")
            stopped = Report(
                payment, payment, "failed", row.payment.amount, row.payment.currency, "not needed"
            )
            payments.save(
                tx.connection, workspace, replace(unneeded, payment=_with(unneeded, stopped)), tx.now
            )
            return None
        changed = (
            replace(row, payment=asked(row.payment, now))
            if step == "charge"
            else replace(row, looked_up_at=now)
        )
        payments.save(tx.connection, workspace, changed, tx.now)
        customer = get_customer(tx, row.customer)
        back = payments.load(tx.connection, workspace, row.payment.refunds) if row.payment.refunds else None
        return _Work(
            step,
            changed,
            header.number or header.id,
            payments.load_payer(tx.connection, workspace, row.customer, row.payment.provider),
            Payer(customer.key, customer.billing.legal_name or customer.name, customer.billing.email),
            back.payment.reference if back is not None else None,
        )


def _with(row: PaymentRow, report: Report) -> Payment:
    return replace(row.payment, reports=row.payment.reports | {report})


def _ask_again(engine: Engine, workspace: int, payment: str) -> None:
    """The provider has never heard of it: note that it is asked once more, under the same id."""
    with engine.transaction(workspace) as tx:
        row = payments.load(tx.connection, workspace, payment, lock=True)
        assert row is not None  # never deleted
        again = replace(row, payment=asked(row.payment, engine.real_now()))
        payments.save(tx.connection, workspace, again, tx.now)


def _look(provider: PaymentProvider, work: _Work) -> Report | None:
    payment = work.row.payment
    if payment.refunds is not None:
        return provider.lookup_refund(_refund(work))
    return provider.lookup(payment.id, payment.reference)


def _take(engine: Engine, workspace: int, provider: PaymentProvider, work: _Work) -> Report:
    payment = work.row.payment
    if payment.refunds is not None:
        return provider.refund(_refund(work))
    payer, method = work.payer or (provider.create_customer(work.buyer), None)
    if work.payer is None:
        with engine.transaction(workspace) as tx:
            payments.save_payer(
                tx.connection, workspace, work.row.customer, provider.name, payer, method, tx.now
            )
    return provider.charge(Charge(payment.id, work.number, payer, method, payment.amount, payment.currency))


def _refund(work: _Work) -> RefundRequest:
    payment = work.row.payment
    return RefundRequest(payment.id, work.paid_as or "", payment.amount, payment.currency)
