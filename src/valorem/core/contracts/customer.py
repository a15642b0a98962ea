"""A customer: who is charged, and the subjects its events come under."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from valorem.core.billing.parties import BillingDetails
from valorem.core.calendar import zone_info
from valorem.core.errors import InvalidInputError
from valorem.core.money import parse_currency

_LONGEST_KEY_BYTES = 255


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is charged.

    Attributes:
        key: The operator's own name for it, at most 255 bytes; events with this subject are its own.
        name: For people.
        currency: ISO 4217 code of its invoices.
        zone: IANA time zone its periods live in.
        subjects: Every subject whose events are its own: its key and its aliases.
        metadata: The operator's own keys and texts.
        created_at: When it was created.
        billing: How it is billed.
        consolidated: Whether its contracts' invoices of one day are sent as one.

    Raises:
        InvalidInputError: Naming the field that is not right.
    """

    key: str
    name: str
    currency: str
    zone: str
    subjects: tuple[str, ...]
    metadata: Mapping[str, str]
    created_at: datetime
    billing: BillingDetails = field(default_factory=BillingDetails)
    consolidated: bool = False

    def __post_init__(self) -> None:
        check_subject(self.key, "key")
        for subject in self.subjects:
            check_subject(subject, "aliases")
        check_text(self.name, "name")
        parse_currency(self.currency, "currency")
        zone_info(self.zone)
        check_metadata(self.metadata)


def check_subject(value: str, field: str) -> None:
    """Refuse what could not be an event's subject."""
    size = len(value.encode("utf-8", "surrogatepass"))
    if not value or size > _LONGEST_KEY_BYTES or not _storable(value):
        raise InvalidInputError(
            f"{value[:40]!r} cannot be a subject",
            field=field,
            hint=f"1 to {_LONGEST_KEY_BYTES} bytes of UTF-8 without NUL",
        )


def check_text(value: str, field: str, most: int = 500) -> None:
    """Refuse text that is empty, too long or cannot be stored."""
    if not value or len(value) > most or not _storable(value):
        raise InvalidInputError(
            f"{value[:40]!r} is not right here", field=field, hint=f"1 to {most} letters without NUL"
        )


def check_metadata(metadata: Mapping[str, str], most: int = 50) -> None:
    """Refuse more than a handful of entries, or any that cannot be stored."""
    if len(metadata) > most:
        raise InvalidInputError(f"{len(metadata)} entries", field="metadata", hint=f"at most {most}")
    for key, value in metadata.items():
        check_text(key, "metadata", 100)
        if len(value) > 500 or not _storable(value):
            raise InvalidInputError(
                f"{value[:40]!r} is not right here", field=f"metadata.{key}", hint="at most 500 letters"
            )


def _storable(text: str) -> bool:
    return "\0" not in text and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
