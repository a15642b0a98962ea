"""Facts of the ledger as JSON values: as they are stored, and as they are shown."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.ledger.account import Checkpoint, Lot, LotKey, Taken
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.grants import Grant, Refill
from valorem.core.ledger.recharge import RechargeRule
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import EVERYTHING, Scope, Workload
from valorem.core.numbers import plain
from valorem.core.periods import Cadence
from valorem.core.time import parse_instant, write_instant

Written = dict[str, Any]


def write_workload(work: Workload) -> Written:
    """What work says of itself, without what it does not."""
    written = {
        "meter": work.meter,
        "product": work.product,
        "dimensions": {name: value for name, value in sorted(work.dimensions.items()) if value is not None},
        "member": work.member,
    }
    return {name: value for name, value in written.items() if value}


def read_workload(written: Mapping[str, Any]) -> Workload:
    """The inverse of :func:`write_workload`."""
    return Workload(
        written.get("meter"),
        written.get("product"),
        dict(written.get("dimensions", {})),
        written.get("member"),
    )


def write_scope(scope: Scope) -> Written:
    """What a grant may pay for."""
    return {
        "products": list(scope.products),
        "meters": list(scope.meters),
        "dimensions": {name: list(values) for name, values in sorted(scope.dimensions.items())},
    }


def read_scope(written: Mapping[str, Any]) -> Scope:
    """The inverse of :func:`write_scope`."""
    found = Scope(
        tuple(written["products"]),
        tuple(written["meters"]),
        {name: tuple(values) for name, values in written["dimensions"].items()},
    )
    return found if found.restricted else EVERYTHING


def write_grant(grant: Grant) -> Written:
    """A grant without its id."""
    refill = grant.refill
    return {
        "amount": plain(grant.amount),
        "start": write_instant(grant.start),
        "expires": _instant(grant.expires),
        "priority": grant.priority,
        "source": grant.source,
        "cost": plain(grant.cost),
        "currency": grant.currency,
        "scope": write_scope(grant.scope),
        "holder": grant.holder,
        "created_at": _instant(grant.created_at),
        "voided_at": _instant(grant.voided_at),
        "rollover": _rollover(grant.rollover),
        "reset": _rollover(grant.reset),
        "refill": None
        if refill is None
        else {
            "every": [refill.every.count, refill.every.unit],
            "anchor": write_instant(refill.anchor),
            "zone": refill.zone,
        },
        "postpaid": grant.postpaid,
        "tag": grant.tag,
        "zone": grant.zone,
    }


def read_grant(name: str, written: Mapping[str, Any]) -> Grant:
    """The inverse of :func:`write_grant`."""
    refill = written["refill"]
    return Grant(
        id=name,
        amount=Decimal(written["amount"]),
        start=parse_instant(written["start"]),
        expires=_read_instant(written["expires"]),
        priority=written["priority"],
        source=written["source"],
        cost=Decimal(written["cost"]),
        currency=written["currency"],
        scope=read_scope(written["scope"]),
        holder=written["holder"],
        created_at=_read_instant(written["created_at"]),
        voided_at=_read_instant(written["voided_at"]),
        rollover=_read_rollover(written["rollover"]),
        reset=_read_rollover(written["reset"]),
        refill=None
        if refill is None
        else Refill(Cadence(*refill["every"]), parse_instant(refill["anchor"]), refill["zone"]),
        postpaid=written["postpaid"],
        tag=written["tag"],
        zone=written["zone"],
    )


def write_burn(burn: Burn) -> Written:
    """A burn."""
    return {
        "at": write_instant(burn.at),
        "key": burn.key,
        "amount": plain(burn.amount),
        "work": write_workload(burn.work),
        "purpose": burn.purpose,
    }


def read_burn(written: Mapping[str, Any]) -> Burn:
    """The inverse of :func:`write_burn`."""
    return Burn(
        parse_instant(written["at"]),
        written["key"],
        Decimal(written["amount"]),
        read_workload(written["work"]),
        written["purpose"],
    )


def write_rule(rule: RechargeRule) -> Written:
    """A recharge rule without its key."""
    return {
        "threshold": plain(rule.threshold),
        "target": None if rule.target is None else plain(rule.target),
        "amount": None if rule.amount is None else plain(rule.amount),
        "most_per_day": rule.most_per_day,
        "zone": rule.zone,
        "exclude": list(rule.exclude),
    }


def read_rule(key: str, written: Mapping[str, Any]) -> RechargeRule:
    """The inverse of :func:`write_rule`."""
    target, amount = written["target"], written["amount"]
    return RechargeRule(
        key,
        Decimal(written["threshold"]),
        None if target is None else Decimal(target),
        None if amount is None else Decimal(amount),
        written["most_per_day"],
        written["zone"],
        tuple(written["exclude"]),
    )


def write_checkpoint(checkpoint: Checkpoint) -> Written:
    """Where a replay can go on."""
    return {
        "at": write_instant(checkpoint.at),
        "lots": [_write_lot(lot) for lot in checkpoint.lots],
        "open_overage": [[write_burn(burn), plain(amount)] for burn, amount in checkpoint.open_overage],
        "taken": [
            [list(each.lot) if each.lot else None, plain(each.amount), write_burn(each.burn)]
            for each in checkpoint.taken
        ],
        "held": {
            name: [[list(lot), plain(amount)] for lot, amount in parts]
            for name, parts in (checkpoint.held or {}).items()
        },
        "capped": [[list(place), plain(amount)] for place, amount in (checkpoint.capped or {}).items()],
        "period_start": _instant(checkpoint.period_start),
        "used_in_period": plain(checkpoint.used_in_period),
        "drawn_in_period": plain(checkpoint.drawn_in_period),
        "overage": plain(checkpoint.overage),
    }


def read_checkpoint(written: Mapping[str, Any]) -> Checkpoint:
    """The inverse of :func:`write_checkpoint`."""
    return Checkpoint(
        at=parse_instant(written["at"]),
        lots=tuple(_read_lot(lot) for lot in written["lots"]),
        open_overage=tuple((read_burn(burn), Decimal(amount)) for burn, amount in written["open_overage"]),
        taken=tuple(
            Taken(LotKey(*lot) if lot else None, Decimal(amount), read_burn(burn))
            for lot, amount, burn in written["taken"]
        ),
        held={
            name: tuple((LotKey(*lot), Decimal(amount)) for lot, amount in parts)
            for name, parts in written["held"].items()
        },
        capped={(key, member, index): Decimal(amount) for (key, member, index), amount in written["capped"]},
        period_start=_read_instant(written["period_start"]),
        used_in_period=Decimal(written["used_in_period"]),
        drawn_in_period=Decimal(written["drawn_in_period"]),
        overage=Decimal(written["overage"]),
    )


_LOT_AMOUNTS = ("amount", "remaining", "held", "consumed", "expired", "voided", "rolled", "cost", "released")


def _write_lot(lot: Lot) -> Written:
    amounts = {name: plain(getattr(lot, name)) for name in _LOT_AMOUNTS}
    return {
        "key": list(lot.key),
        "start": write_instant(lot.start),
        "end": _instant(lot.end),
        "ended": lot.ended,
        **amounts,
    }


def _read_lot(written: Mapping[str, Any]) -> Lot:
    return Lot(
        key=LotKey(*written["key"]),
        start=parse_instant(written["start"]),
        end=_read_instant(written["end"]),
        ended=written["ended"],
        **{name: Decimal(written[name]) for name in _LOT_AMOUNTS},
    )


def _instant(at: datetime | None) -> str | None:
    return None if at is None else write_instant(at)


def _read_instant(written: str | None) -> datetime | None:
    return None if written is None else parse_instant(written)


def _rollover(rollover: Rollover | None) -> Any:
    return None if rollover is None else rollover.model_dump(mode="json")


def _read_rollover(written: Any) -> Rollover | None:
    return None if written is None else Rollover.model_validate(written)
