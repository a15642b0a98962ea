"""Dunning: each reminder goes out once, none once nothing is owed."""

from valorem.core.billing import life as steps
from valorem.core.billing.dunning import DunningPolicy, reminders_due
from valorem.core.billing.payment_terms import days_late
from valorem.engine.engine import Engine, Transaction
from valorem.engine.settings import get_billing_settings
from valorem.engine.settling import lock_invoice, tell
from valorem.store.postgres import lives, reminders

_PAGE = 200


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
                    policy, due=life.due, zone=life.zone, owed=life.owed, now=tx.now, done=done[each]
                )
            ]
            sent += sum(_remind(tx, each, policy) for each in waiting)
        after = ids[-1]


def _remind(tx: Transaction, invoice: str, policy: DunningPolicy) -> int:
    header, life = lock_invoice(tx, invoice)
    if life.due is None or life.stage != "finalised":
        return 0
    done = reminders.load_done(tx.connection, tx.workspace.id, [invoice])[invoice]
    sent = 0
    for each in reminders_due(policy, due=life.due, zone=life.zone, owed=life.owed, now=tx.now, done=done):
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
