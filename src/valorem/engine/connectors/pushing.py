"""Results written back: each state of an outcome is told to its source at least once, under one name for ever."""

import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any

from valorem.core.delivery.schedule import next_attempt_at
from valorem.core.errors import UnprocessableError
from valorem.core.sources.definition import PushRule, SourceDefinition
from valorem.core.sources.frames import SourceUnreachableError, WriteRequest
from valorem.core.time import write_instant
from valorem.engine.catalog import current_catalog
from valorem.engine.connectors.secrets import open_secrets
from valorem.engine.engine import Engine, Transaction
from valorem.engine.outcome_reports import show_board
from valorem.store.postgres import catalogs, source_pushes
from valorem.store.postgres.source_pushes import Push

log = logging.getLogger(__name__)
_LEASE = timedelta(minutes=2)
_TOGETHER = 50


def push_due(engine: Engine, workspace: int) -> int:
    """Tell every source what has become of its outcomes; how many states were told.

    It may be run twice, in parallel, or be killed anywhere: a state that was sent and not noted is sent again.
    """
    if engine.reader is None:
        return 0
    with engine.transaction(workspace) as tx:
        if not catalogs.latest_version(tx.connection, workspace):
            return 0
        _, catalog = current_catalog(tx)
        telling = [each for each in catalog.sources.values() if each.push]
        for definition in telling:
            _note(tx, definition)
    return sum(_send(engine, workspace, definition) for definition in telling)


def _note(tx: Transaction, definition: SourceDefinition) -> None:
    """Note every state that outcomes are in and that a rule tells."""
    names = sorted({rule.outcome for rule in definition.push})
    found: list[Push] = []
    for contract, outcome in source_pushes.contracts_with(tx.connection, tx.workspace.id, names):
        for view in show_board(tx, contract, outcome).dashboard.outcomes:
            for index, rule in enumerate(definition.push):
                if rule.outcome != outcome or view.state not in rule.states or view.since is None:
                    continue
                name = f"{contract}/{outcome}/{index}/{view.key}/{view.state}/{write_instant(view.since)}"
                found.append(
                    Push(
                        sha256(name.encode()).hexdigest()[:40],
                        index,
                        outcome,
                        view.key,
                        view.state,
                        view.since,
                    )
                )
    found.sort(key=lambda one: (one.key, one.at, one.id))
    source_pushes.put(tx.connection, tx.workspace.id, definition.source, found, tx.now)


def _send(engine: Engine, workspace: int, definition: SourceDefinition) -> int:
    assert engine.reader is not None  # looked at before
    told = 0
    while True:
        with engine.transaction(workspace) as tx:
            now = tx.now
            due = source_pushes.lease(
                tx.connection, workspace, definition.source, now, most=_TOGETHER, lease=_LEASE
            )
        if not due:
            return told
        try:
            with engine.transaction(workspace) as tx:
                secrets = open_secrets(tx, definition)
        except UnprocessableError as error:
            log.warning("nothing is written back to %s: %s", definition.source, error)
            return told
        for push in due:
            error_text, retry_after_s = None, None
            try:
                if push.rule < len(definition.push):
                    engine.reader.write(_request(definition, definition.push[push.rule], secrets, push))
            except SourceUnreachableError as error:
                error_text, retry_after_s = str(error), error.retry_after_s
            again = None
            if error_text is not None:
                again = next_attempt_at(push.attempts, now, random.random(), retry_after_s)  # noqa: S311 - jitter
            with engine.transaction(workspace) as tx:
                source_pushes.settle(tx.connection, workspace, definition.source, push, error_text, again)
            told += error_text is None


def _request(
    definition: SourceDefinition, rule: PushRule, secrets: Mapping[str, str], push: Push
) -> WriteRequest:
    words = {"key": push.key, "state": push.state, "outcome": push.outcome, "id": push.id}
    return WriteRequest(definition, secrets, rule.method, rule.path, words, _filled(rule.body, words))


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """The body with the outcome's own words in its texts."""
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(f"{{{name}}}", word)
        return value
    if isinstance(value, Mapping):
        return {name: _filled(member, words) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(member, words) for member in value]
    return value
