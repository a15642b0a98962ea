"""What the worker does regularly: each job is one verb that finds its own work."""

from datetime import timedelta

from valorem.engine.alerts import run_alerts
from valorem.engine.backfill import run_backfill
from valorem.engine.closing import CLOSING, close_alone
from valorem.engine.collecting import collect
from valorem.engine.connectors.polling import poll_due
from valorem.engine.connectors.pushing import push_due
from valorem.engine.credits.closing import tend_credits
from valorem.engine.dunning import send_reminders
from valorem.engine.engine import Engine
from valorem.engine.export import export_batches
from valorem.engine.idempotency import forget_answers
from valorem.engine.outcome_disputes import settle_silence
from valorem.engine.outcome_keeping import keep_outcomes
from valorem.engine.worker import Job
from valorem.store.postgres import deliveries, quota_holds, sources
from valorem.store.postgres.ingest import forget_keys

_HOUR_S = 3600.0
_DELIVERIES_KEPT = timedelta(days=30)
_HOLDS_KEPT = timedelta(days=30)
#: Batches in one go; a stop waits for no more than that.
_SOME = 20
#: History may be a minute behind; live numbers never read it.
_HISTORY_WAITS_S = 60.0


def _recount(engine: Engine, workspace: int) -> bool:
    return run_backfill(engine, workspace, max_batches=_SOME).remaining > 0


def _close(engine: Engine, workspace: int) -> bool:
    settle_silence(engine, workspace)
    close_alone(engine, workspace)
    return False


def _credits(engine: Engine, workspace: int) -> bool:
    tend_credits(engine, workspace)
    return False


def _export(engine: Engine, workspace: int) -> bool:
    return engine.warehouse is not None and export_batches(engine, workspace, _SOME).remaining > 0


def _collect(engine: Engine, workspace: int) -> bool:
    if engine.payments:
        collect(engine, workspace)
    return False


def _remind(engine: Engine, workspace: int) -> bool:
    send_reminders(engine, workspace)
    return False


def _forget(engine: Engine, workspace: int) -> bool:
    """Old event keys, by the workspace's own clock, and old answers, which are of all workspaces together."""
    with engine.transaction(workspace) as tx:
        forget_keys(tx.connection, (tx.now - timedelta(seconds=tx.limits.key_retention_s)).date())
        quota_holds.forget(tx.connection, workspace, tx.now - _HOLDS_KEPT)
    with engine.transaction(workspace) as tx:
        deliveries.forget(tx.connection, workspace, engine.real_now() - _DELIVERIES_KEPT)
        sources.forget_messages(tx.connection, workspace, engine.real_now() - _DELIVERIES_KEPT)
    return forget_answers(engine) > 0


def _push(engine: Engine, workspace: int) -> bool:
    push_due(engine, workspace)
    return False


JOBS = (
    Job("recount", 2.0, _recount),
    Job(CLOSING, 5.0, _close),
    Job("alerts", 5.0, run_alerts),
    Job("credits", 15.0, _credits),
    Job("export", 5.0, _export, gives_way_s=_HISTORY_WAITS_S),
    Job("outcomes", 15.0, keep_outcomes, gives_way_s=_HISTORY_WAITS_S),
    Job("collect", 5.0, _collect),
    Job("remind", 60.0, _remind),
    Job("forget", _HOUR_S, _forget),
)

#: Reading other systems may take its time, and nothing else waits for it.
SOURCE_JOBS = (
    Job("poll", 5.0, poll_due),
    Job("push", 60.0, _push),
)
