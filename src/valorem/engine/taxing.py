"""Taxes from an outside engine: asked between transactions, kept, and an invoice waits until there is an answer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from valorem.core.billing.invoice import Invoice
from valorem.core.billing.sealing import read_rate, reference_of, write_rate
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import TaxRequest
from valorem.core.calendar import local_date
from valorem.core.errors import OverloadedError, ValoremError
from valorem.core.numbers import plain
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import tax_answers
from valorem.store.postgres.tax_answers import TaxAnswer

#: After so many seconds, doubled with each try, an engine that could not tell is asked again.
_AGAIN_S = 5
_LONGEST_S = 900


@dataclass(frozen=True, slots=True)
class Question:
    """What an outside tax engine has to be asked.

    Attributes:
        digest: Of the question; the same question has the same answer.
        request: The question.
        tries: How often it was asked in vain.
    """

    digest: bytes
    request: TaxRequest
    tries: int


def known_rates(
    tx: Transaction, request: TaxRequest
) -> tuple[Sequence[tuple[TaxRate, ...]] | None, Question]:
    """The rates of each line as they were answered; None where they were not, and the question."""
    digest = _digest(request)
    answer = tax_answers.load(tx.connection, tx.workspace.id, digest)
    question = Question(digest, request, 0 if answer is None else answer.tries)
    if answer is None or answer.rates is None:
        return None, question
    read = {key: tuple(read_rate(each) for each in rates) for key, rates in answer.rates.items()}
    return [read[line.key] for line in request.lines], question


def tax_problem(tx: Transaction, invoice: Invoice, zone: str) -> str | None:
    """Why an invoice waits for its taxes; None where it does not."""
    reference = reference_of(invoice, local_date(invoice.issued_at, zone))
    return tax_answers.problem_of(tx.connection, tx.workspace.id, reference)


def ask(engine: Engine, workspace: int, questions: Iterable[Question]) -> int:
    """Ask what has not been answered, outside any transaction, and keep what is said; returns how many were answered."""
    answered = 0
    for question in questions:
        with engine.transaction(workspace) as tx:
            known = tax_answers.load(tx.connection, workspace, question.digest)
        now = engine.real_now()
        if known is not None and known.rates is None:
            wait_s = min(_AGAIN_S * 2 ** min(known.tries - 1, 20), _LONGEST_S)
            if now < known.asked_at + timedelta(seconds=wait_s):
                continue
        rates, problem = _asked(engine, question.request)
        answered += rates is not None
        answer = TaxAnswer(question.request.reference, rates, problem, 1, now)
        with engine.transaction(workspace) as tx:
            tax_answers.save(tx.connection, workspace, question.digest, answer)
    return answered


def ask_now(engine: Engine, workspace: int, request: TaxRequest) -> None:
    """Ask for a document that somebody waits for.

    Raises:
        OverloadedError: Where there is no answer. Nothing was written.
    """
    question = Question(_digest(request), request, 0)
    rates, problem = _asked(engine, request)
    if rates is None:
        raise OverloadedError(f"{problem}; nothing was written, so the same request may be sent again")
    with engine.transaction(workspace) as tx:
        answer = TaxAnswer(request.reference, rates, None, 1, engine.real_now())
        tax_answers.save(tx.connection, workspace, question.digest, answer)


def _asked(engine: Engine, request: TaxRequest) -> tuple[Mapping[str, object] | None, str | None]:
    if engine.taxes is None:
        return None, "no tax engine is configured: set VALOREM_TAX_URL"
    try:
        found = engine.taxes.rates(request)
    except ValoremError as error:
        return None, error.message
    return {key: [write_rate(each) for each in rates] for key, rates in found.items()}, None


def _digest(request: TaxRequest) -> bytes:
    parties = [
        [each.place.country, each.place.region, each.tax_id, each.exempt_reason]
        for each in (request.seller, request.buyer)
    ]
    lines = [[line.key, plain(line.amount), line.product] for line in request.lines]
    written = [request.reference, request.on.isoformat(), request.currency, parties, lines]
    return sha256(json.dumps(written, ensure_ascii=False).encode()).digest()
