"""Dunning: each reminder goes out once, none once nothing is owed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from valorem.core.billing import life as steps
from valorem.core.billing.dunning import DunningPolicy, next_reminder_at, next_step_at, reminders_due
from valorem.core.billing.payment_terms import days_late
from valorem.engine.engine import Engine, Transaction
from valorem.engine.settings import get_billing_settings
from valorem.engine.settling import Standing, lock_invoice, standings, tell
from valorem.store.postgres import invoices, lives, reminders

_PAGE = 200
_MOST_OWING = 1000


def send_reminders(engine: Engine, workspace: int) -> int:
    """Put every reminder that is due into the outbox; how many. Safe to repeat, in parallel, or to be killed."""
    sent, after = 0, ""
    while True:
        with engine.transaction(workspace) as tx:
            ids = lives.owing(tx.connection, workspace, after=after, limit=_PAGE)
            if not ids:
                return sent
            policy = get_billing_settings(tx).dunning_policy
            done = reminders.load_done(tx.connection, workspace, ids)
            found = lives.load_many(tx.connection, workspace, ids)
            waiting = [
                each
                for each in ids
                if (life := found[each]).due is not None
                and reminders_due(
                    policy, due=life.due, zone=life.zone, owed=life.payable, now=tx.now, done=done[each]
                )
            ]
            sent += sum(_remind(tx, each, policy) for each in waiting)
        after = ids[-1]


def next_dunning_at(tx: Transaction) -> datetime | None:
    """The next instant at which something that is owed may come to a reminder; what is due already is not looked at."""
    policy = get_billing_settings(tx).dunning_policy
    if not policy.reminders:
        return None
    since = tx.now.date() - timedelta(days=policy.reminders[-1].after_days + 1)
    days = lives.owed_days(tx.connection, tx.workspace.id, since)
    found = (next_step_at(policy, due, zone, tx.now) for due, zone in days)
    return min((at for at in found if at is not None), default=None)


def _remind(tx: Transaction, invoice: str, policy: DunningPolicy) -> int:
    header, life = lock_invoice(tx, invoice)
    if life.due is None or life.stage != "finalised":
        return 0
    done = reminders.load_done(tx.connection, tx.workspace.id, [invoice])[invoice]
    sent = 0
    for each in reminders_due(policy, due=life.due, zone=life.zone, owed=life.payable, now=tx.now, done=done):
        reminder = each.reminder
        noted = reminders.insert(
            tx.connection, tx.workspace.id, invoice, reminder.key, skipped=each.skipped, at=tx.now
        )
        if each.skipped or not noted:
            continue
        sent += 1
        tell(
            tx,
            header,
            "invoice.reminder",
            life,
            reminder=reminder.key,
            due_on=life.due.isoformat(),
            days_late=days_late(life.due, life.zone, tx.now),
        )
        if reminder.action == "write_off":
            life = steps.write_off(life, f"reminder {reminder.key}", tx.now)
            lives.save(tx.connection, tx.workspace.id, invoice, life)
    return sent


@dataclass(frozen=True, slots=True)
class Owing:
    """A final invoice with something left to pay.

    Attributes:
        standing: How it stands.
        late: Local days after its due date; below zero before it.
        done: Keys of the reminders that were sent, or left out for a later one.
        next_at: When the next one is sent; None after the last.
    """

    standing: Standing
    late: int
    done: tuple[str, ...]
    next_at: datetime | None


def list_owing(tx: Transaction, *, limit: int = 100) -> tuple[DunningPolicy, list[Owing]]:
    """The workspace's sequence of reminders, and the final invoices that still owe something, the longest due first."""
    policy = get_billing_settings(tx).dunning_policy
    ids = lives.owing(tx.connection, tx.workspace.id, after="", limit=_MOST_OWING)
    headers = invoices.load_many(tx.connection, tx.workspace.id, ids)
    done = reminders.load_done(tx.connection, tx.workspace.id, ids)
    found = []
    for each in standings(tx, headers):
        life = each.life
        if life.due is None:
            continue
        known = done[each.header.id]
        following = next_reminder_at(policy, due=life.due, zone=life.zone, done=known)
        late = days_late(life.due, life.zone, tx.now)
        in_order = tuple(one.key for one in policy.reminders if one.key in known)
        found.append(Owing(each, late, in_order, following))
    return policy, sorted(found, key=lambda one: (-one.late, one.standing.header.id))[:limit]
