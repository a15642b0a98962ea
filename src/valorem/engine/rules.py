"""Alert rules beside those of plans: for one customer, or for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from valorem.core.alerts.rules import AlertRule
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.engine.alerts import arm
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.watching import read_rule
from valorem.store.postgres import alerts

_MOST_RULES = 100


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule under its id; customer None holds for all."""

    id: str
    customer: str | None
    rule: AlertRule


def add_rule(tx: Transaction, customer: str | None, terms: Mapping[str, Any]) -> KeptRule:
    """Tell of one thing more, for one customer or for all.

    A rule for one customer tells of what is crossed already at once; one for all does so within moments.

    Raises:
        NotFoundError: If there is no such customer.
        InvalidInputError: Naming the field.
    """
    if customer is not None:
        get_customer(tx, customer)
    rule = read_rule(terms)
    if len(list_rules(tx, customer)) >= _MOST_RULES:
        raise UnprocessableError(f"there are {_MOST_RULES} rules already", field="rule", hint="remove one")
    made = new_id("alr", part_of(tx.workspace.id, customer or ""), tx.now)
    written = rule.model_dump(mode="json")
    alerts.insert(tx.connection, tx.workspace.id, "alert_rule", customer or "", made, written, tx.now)
    if customer is not None:
        arm(tx, customer)
    else:
        alerts.look_again(tx.connection, tx.workspace.id, tx.now)
    return KeptRule(made, customer, rule)


def list_rules(tx: Transaction, customer: str | None = None) -> list[KeptRule]:
    """The rules of one customer, or those for all."""
    stored = alerts.load(tx.connection, tx.workspace.id, "alert_rule", customer or "")
    return [KeptRule(one.id, customer, AlertRule.model_validate(one.terms)) for one in stored]


def remove_rule(tx: Transaction, customer: str | None, rule: str) -> None:
    """Stop telling.

    Raises:
        NotFoundError: If there is no such rule.
    """
    if not alerts.delete(tx.connection, tx.workspace.id, "alert_rule", customer or "", rule):
        raise NotFoundError(f"there is no alert rule {rule[:60]!r}", field="rule")
    if customer is not None:
        arm(tx, customer)
