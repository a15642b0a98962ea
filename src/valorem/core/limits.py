"""Every declared limit, in one place: what a workspace may send, and for how long its event keys are kept."""

from dataclasses import dataclass

from valorem.core.errors import InvalidInputError

DAY_S = 86_400
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted. A retry can never count twice because keys outlive the accept window.

    Attributes:
        body_bytes: One request body as it arrives.
        decompressed_bytes: One request body once unpacked.
        decompression_ratio: Unpacked bytes per packed byte, past which a body is taken for a bomb.
        batch_events: Events in one request.
        depth: Nested objects and lists of one event, the event itself included.
        attribute_bytes: UTF-8 bytes of ``id``, ``source``, ``subject``, ``type`` and ``sequence``, each.
        event_bytes: One event as sent, extension attributes included.
        data_bytes: The ``data`` member of one event as sent.
        key_bytes: UTF-8 bytes of one member name inside ``data``.
        dimension_bytes: UTF-8 bytes of one dimension value.
        dimension_combinations: Distinct combinations of dimension values for each (subject, meter).
        accept_late_s: How far back an event's time may lie.
        accept_future_s: How far ahead of the clock an event's time may lie.
        key_retention_s: How long event keys are kept to recognise a retry.
    """

    body_bytes: int = 8 * MIB
    decompressed_bytes: int = 64 * MIB
    decompression_ratio: int = 200
    batch_events: int = 10_000
    depth: int = 32
    attribute_bytes: int = 255
    event_bytes: int = 80 * 1024
    data_bytes: int = 64 * 1024
    key_bytes: int = 255
    dimension_bytes: int = 255
    dimension_combinations: int = 10_000
    accept_late_s: int = 35 * DAY_S
    accept_future_s: int = 300
    key_retention_s: int = 40 * DAY_S

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise InvalidInputError("a limit must be above zero", field=f"limits.{name}")
        window_s = self.accept_late_s + self.accept_future_s
        if self.key_retention_s <= window_s:
            raise InvalidInputError(
                f"event keys would be kept {self.key_retention_s} s, but events are accepted over {window_s} s: "
                "a retry could count twice",
                field="limits.key_retention_s",
                hint=f"keep keys longer than accept_late_s + accept_future_s ({window_s} s)",
            )


#: The limits in force unless a deployment declares others.
LIMITS = Limits()
