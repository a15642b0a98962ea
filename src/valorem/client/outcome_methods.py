"""The calls about outcomes: signed definitions, the dashboard, evidence, agreement, disputes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client import outcome_values as v
from valorem.client.call import Call, Method, quoted

_PATH = "/v1/outcomes"


def outcome_dashboard(
    contract: str,
    definition: str,
    *,
    at: datetime | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Call[v.OutcomeDashboard]:
    """What both sides see of one definition at an instant."""
    query = {"contract": contract, "definition": definition, "at": at, "after": after, "limit": limit}
    return Call("GET", _PATH, v.OutcomeDashboard, query=query)


def list_outcome_definitions(contract: str) -> Call[v.OutcomeDefinitions]:
    """The definitions of a contract with their signatures, all versions."""
    return Call("GET", f"{_PATH}/definitions", v.OutcomeDefinitions, query={"contract": contract})


def propose_outcome(
    contract: str,
    definition: str,
    *,
    terms: Mapping[str, Any] | None = None,
    effective_from: datetime | None = None,
    live_from: datetime | None = None,
    retroactive: bool = False,
) -> Call[v.OutcomeDefinition]:
    """Put a definition, or an amendment of one, before both sides; without ``terms`` the one of the catalog."""
    body = _proposal(contract, definition, terms, effective_from, live_from)
    return Call(
        "POST",
        f"{_PATH}/definitions",
        v.OutcomeDefinition,
        body={**body, "retroactive": retroactive},
        once=True,
    )


def backtest_outcome(
    contract: str, definition: str, *, terms: Mapping[str, Any] | None = None
) -> Call[v.OutcomeBacktest]:
    """What an amendment would have changed on all recorded evidence; nothing is written."""
    body = _proposal(contract, definition, terms, None, None)
    return Call("POST", f"{_PATH}/definitions/backtest", v.OutcomeBacktest, body=body)


def sign_outcome(
    contract: str, definition: str, number: int, digest: str, person: str, role: str
) -> Call[v.OutcomeDefinition]:
    """Sign exactly one text as the vendor."""
    body = _signature(contract, definition, number, digest, person, role)
    return Call("POST", f"{_PATH}/definitions/sign", v.OutcomeDefinition, body=body, once=True)


def sign_outcome_as_customer(
    contract: str, definition: str, number: int, digest: str, person: str, role: str
) -> Call[v.OutcomeDefinition]:
    """Sign exactly one text as the customer, with a key of scope ``outcomes:sign``."""
    body = _signature(contract, definition, number, digest, person, role)
    return Call("POST", f"{_PATH}/definitions/sign-as-customer", v.OutcomeDefinition, body=body, once=True)


def invite_to_sign_outcome(
    contract: str, definition: str, *, number: int | None = None, lasts_days: int | None = None
) -> Call[v.SigningLink]:
    """Make a link by which the customer signs once, without a key."""
    body = {"contract": contract, "definition": definition, "number": number, "lasts_days": lasts_days}
    return Call("POST", f"{_PATH}/signing/links", v.SigningLink, body=body, once=True)


def look_at_signing_link(token: str) -> Call[v.ToSign]:
    """What a link is for; looking does not use it."""
    return Call("POST", f"{_PATH}/signing/look", v.ToSign, body={"token": token})


def sign_outcome_by_link(token: str, digest: str, person: str, role: str) -> Call[v.OutcomeDefinition]:
    """Sign as the customer with a link, which is used up."""
    body = {"token": token, "digest": digest, "person": person, "role": role}
    return Call("POST", f"{_PATH}/signing", v.OutcomeDefinition, body=body)


def outcome_savings(contract: str, definition: str) -> Call[v.OutcomeSavings]:
    """What each period saved and what of it is billed, with the arithmetic."""
    query = {"contract": contract, "definition": definition}
    return Call("GET", f"{_PATH}/savings", v.OutcomeSavings, query=query)


def estimate_outcome_savings(
    contract: str, definition: str, *, period_index: int | None = None
) -> Call[v.SavingsEstimate]:
    """Make a period's estimate now; it is made once and kept for good."""
    body = {"contract": contract, "definition": definition, "period_index": period_index}
    return Call("POST", f"{_PATH}/savings/estimates", v.SavingsEstimate, body=body, once=True)


def start_outcome_billing(
    contract: str, definition: str, number: int, *, since: datetime | None = None
) -> Call[v.OutcomeDefinition]:
    """Let a version in shadow bill from an instant on."""
    body = {"contract": contract, "definition": definition, "number": number, "since": since}
    return Call("POST", f"{_PATH}/definitions/live", v.OutcomeDefinition, body=body, once=True)


def retire_outcome(
    contract: str, definition: str, number: int, *, since: datetime | None = None
) -> Call[v.OutcomeDefinition]:
    """Let a version accept nothing more from an instant on."""
    body = {"contract": contract, "definition": definition, "number": number, "since": since}
    return Call("POST", f"{_PATH}/definitions/retire", v.OutcomeDefinition, body=body, once=True)


def open_outcome(
    contract: str, definition: str, key: str, *, at: datetime | None = None
) -> Call[v.OpenedOutcome]:
    """One outcome with its states, and the very events they rest on."""
    query = {"contract": contract, "definition": definition, "key": key, "at": at}
    return Call("GET", f"{_PATH}/evidence", v.OpenedOutcome, query=query)


def outcome_bills(contract: str, definition: str, *, at: datetime | None = None) -> Call[v.OutcomeBills]:
    """What each period comes to by an instant, the running one as it stands."""
    query = {"contract": contract, "definition": definition, "at": at}
    return Call("GET", f"{_PATH}/bills", v.OutcomeBills, query=query)


def outcome_bundle(
    contract: str, definition: str, *, keys: Sequence[str] = (), at: datetime | None = None
) -> Call[v.OutcomeBundle]:
    """The evidence of outcomes as one file: the same bytes each time for the same instant."""
    query = {"contract": contract, "definition": definition, "key": list(keys), "at": at}
    return Call("GET", f"{_PATH}/bundle", v.OutcomeBundle, query=query)


def list_outcome_reports(contract: str, definition: str) -> Call[v.OutcomeReports]:
    """The reports of agreement in order of their making."""
    query = {"contract": contract, "definition": definition}
    return Call("GET", f"{_PATH}/reports", v.OutcomeReports, query=query)


def compare_outcomes(
    contract: str,
    definition: str,
    listed: Sequence[Mapping[str, Any]],
    *,
    period_index: int | None = None,
) -> Call[v.OutcomeReport]:
    """Compare a cycle with the customer's own list, key by key: objects with ``key``, and ``value`` and ``at`` if known."""
    body = {
        "contract": contract,
        "definition": definition,
        "listed": list(listed),
        "period_index": period_index,
    }
    return Call("POST", f"{_PATH}/reports", v.OutcomeReport, body=body, once=True)


def sign_outcome_report(
    contract: str, definition: str, report: str, person: str, role: str
) -> Call[v.OutcomeReports]:
    """Sign a report of agreement as the vendor."""
    body = {"contract": contract, "definition": definition, "person": person, "role": role}
    return Call("POST", f"{_PATH}/reports/{quoted(report)}/sign", v.OutcomeReports, body=body, once=True)


def sign_outcome_report_as_customer(
    contract: str, definition: str, report: str, person: str, role: str
) -> Call[v.OutcomeReports]:
    """Sign a report of agreement as the customer, with a key of scope ``outcomes:sign``."""
    body = {"contract": contract, "definition": definition, "person": person, "role": role}
    path = f"{_PATH}/reports/{quoted(report)}/sign-as-customer"
    return Call("POST", path, v.OutcomeReports, body=body, once=True)


def list_outcome_disputes(contract: str, definition: str) -> Call[v.OutcomeDisputes]:
    """The disputes of a definition, with what silence has resolved."""
    query = {"contract": contract, "definition": definition}
    return Call("GET", f"{_PATH}/disputes", v.OutcomeDisputes, query=query)


def dispute_outcomes(
    contract: str,
    definition: str,
    keys: Sequence[str],
    reason: str,
    *,
    text: str = "",
    invoice: str | None = None,
) -> Call[v.OutcomeDispute]:
    """Open a dispute as the vendor; ``invoice`` is the final invoice that bills them."""
    body = _contested(contract, definition, keys, reason, text, invoice)
    return Call("POST", f"{_PATH}/disputes", v.OutcomeDispute, body=body, once=True)


def dispute_outcomes_as_customer(
    contract: str,
    definition: str,
    keys: Sequence[str],
    reason: str,
    *,
    text: str = "",
    invoice: str | None = None,
) -> Call[v.OutcomeDispute]:
    """Open a dispute as the customer, with a key of scope ``outcomes:sign``."""
    body = _contested(contract, definition, keys, reason, text, invoice)
    return Call("POST", f"{_PATH}/disputes/as-customer", v.OutcomeDispute, body=body, once=True)


def answer_outcome_dispute(contract: str, definition: str, dispute: str) -> Call[v.OutcomeDispute]:
    """Note that a dispute was answered."""
    body = {"contract": contract, "definition": definition}
    return Call("POST", f"{_PATH}/disputes/{quoted(dispute)}/answer", v.OutcomeDispute, body=body, once=True)


def resolve_outcome_dispute(
    contract: str,
    definition: str,
    dispute: str,
    resolutions: Mapping[str, Decimal | int | str],
    *,
    note: str = "",
) -> Call[v.OutcomeDispute]:
    """Resolve disputed outcomes: 1 upholds, 0 rejects, between them a part is given back."""
    body = {"contract": contract, "definition": definition, "resolutions": resolutions, "note": note}
    return Call("POST", f"{_PATH}/disputes/{quoted(dispute)}/resolve", v.OutcomeDispute, body=body, once=True)


def _proposal(
    contract: str,
    definition: str,
    terms: Mapping[str, Any] | None,
    effective_from: datetime | None,
    live_from: datetime | None,
) -> dict[str, Any]:
    return {
        "contract": contract,
        "definition": definition,
        "terms": None if terms is None else dict(terms),
        "effective_from": effective_from,
        "live_from": live_from,
    }


def _signature(
    contract: str, definition: str, number: int, digest: str, person: str, role: str
) -> dict[str, Any]:
    return {
        "contract": contract,
        "definition": definition,
        "number": number,
        "digest": digest,
        "person": person,
        "role": role,
    }


def _contested(
    contract: str, definition: str, keys: Sequence[str], reason: str, text: str, invoice: str | None
) -> dict[str, Any]:
    return {
        "contract": contract,
        "definition": definition,
        "keys": list(keys),
        "reason": reason,
        "text": text,
        "invoice": invoice,
    }


class OutcomeMethods:
    """The calls as methods."""

    outcome_dashboard = Method(outcome_dashboard)
    list_outcome_definitions = Method(list_outcome_definitions)
    propose_outcome = Method(propose_outcome)
    backtest_outcome = Method(backtest_outcome)
    sign_outcome = Method(sign_outcome)
    sign_outcome_as_customer = Method(sign_outcome_as_customer)
    invite_to_sign_outcome = Method(invite_to_sign_outcome)
    look_at_signing_link = Method(look_at_signing_link)
    sign_outcome_by_link = Method(sign_outcome_by_link)
    outcome_savings = Method(outcome_savings)
    estimate_outcome_savings = Method(estimate_outcome_savings)
    start_outcome_billing = Method(start_outcome_billing)
    retire_outcome = Method(retire_outcome)
    open_outcome = Method(open_outcome)
    outcome_bills = Method(outcome_bills)
    outcome_bundle = Method(outcome_bundle)
    list_outcome_reports = Method(list_outcome_reports)
    compare_outcomes = Method(compare_outcomes)
    sign_outcome_report = Method(sign_outcome_report)
    sign_outcome_report_as_customer = Method(sign_outcome_report_as_customer)
    list_outcome_disputes = Method(list_outcome_disputes)
    dispute_outcomes = Method(dispute_outcomes)
    dispute_outcomes_as_customer = Method(dispute_outcomes_as_customer)
    answer_outcome_dispute = Method(answer_outcome_dispute)
    resolve_outcome_dispute = Method(resolve_outcome_dispute)
