"""What an edit must fit beside itself: the plan it changes, the meters that are counted, the contract's term."""

from collections.abc import Collection, Iterator

from valorem.core.billing.fees import charges_of
from valorem.core.billing.terms import Stretch, Terms
from valorem.core.errors import InvalidInputError
from valorem.core.time import write_instant


def check_terms(terms: Terms, counted: Collection[str]) -> None:
    """Refuse terms that could not be billed as agreed; to be called with the terms an edit leads to.

    Args:
        terms: The terms with the edit.
        counted: The fingerprints of every meter revision that is counted.

    Raises:
        InvalidInputError: For a fee, meter, seat or charge that is not there, or a price that needs counters nobody keeps.
    """
    for stretch in terms.stretches:
        for field, message, hint in _misfits(stretch, counted):
            raise InvalidInputError(message, field=field, hint=hint)
    _check_seats(terms)
    contract = terms.contract
    for charge in charges_of(contract):
        if contract.end is not None and charge.at > contract.end:
            raise InvalidInputError(
                f"the contract ends at {write_instant(contract.end)}, before {write_instant(charge.at)}",
                field=f"charges.{charge.id}",
                hint="date it inside the contract's term, or renew the contract first",
            )


def _misfits(stretch: Stretch, counted: Collection[str]) -> Iterator[tuple[str, str, str]]:
    plan, standing = stretch.plan, stretch.standing
    for override in standing.overrides:
        field = f"overrides.{override.id}"
        if override.fee is not None and override.fee not in plan.fees:
            yield field, f"plan {plan.key} has no fee {override.fee}", _known("fees", plan.fees)
        if override.meter is not None and override.meter not in plan.prices:
            yield field, f"plan {plan.key} has no price for {override.meter}", _known("prices", plan.prices)
    yield from _strangers(stretch)
    for priced in stretch.priced:
        if priced.meter.fingerprint() not in counted:
            yield (
                f"prices.{priced.key}",
                "the price needs single events counted in a way that no catalog version counts them",
                "put the price into the catalog, so that events are counted for it",
            )


def _strangers(stretch: Stretch) -> Iterator[tuple[str, str, str]]:
    """Discounts and commitments for what is not there."""
    plan, standing = stretch.plan, stretch.standing
    known = {*plan.fees, *plan.prices, *(charge.id for charge in standing.charges)}
    for discount in standing.discounts:
        for key in (*(discount.only or ()), *([discount.meter] if discount.meter else ())):
            if key not in known:
                yield (
                    f"discounts.{discount.id}",
                    f"{key} is no fee, meter or charge of it",
                    _known("keys", known),
                )
    for commitment in standing.commitments:
        for key in commitment.only or ():
            if key not in plan.prices:
                yield (
                    f"commitments.{commitment.id}",
                    f"plan {plan.key} has no price for {key}",
                    _known("prices", plan.prices),
                )


def _check_seats(terms: Terms) -> None:
    known = {fee.per for stretch in terms.stretches for fee in stretch.plan.fees.values() if fee.per}
    for key in terms.contract.seats:
        if key not in known:
            raise InvalidInputError(
                f"no fee or add-on of the plan is per {key!r}",
                field=f"seats.{key}",
                hint=_known("keys", known),
            )


def _known(noun: str, keys: Collection[str]) -> str:
    return f"its {noun} are {', '.join(sorted(keys))}" if keys else f"it has no {noun}"
