"""Admission: valid events that the workspace's own past refuses, before a transaction is opened for the others.

The checks cost nothing for what comes every day: combinations that were seen before, events that correct none, and use of
periods that are open.
"""

from collections.abc import Sequence

from valorem.core.limits import DAY_S, Limits
from valorem.engine.cardinality import combination_of, let_in, over_the_limit
from valorem.engine.meters import Meters
from valorem.engine.recording import Candidate
from valorem.engine.results import CLOSED, ItemResult
from valorem.store.postgres import counters, ingest
from valorem.store.postgres.combinations import Combination
from valorem.store.postgres.database import Connection

#: Combinations a writer remembers, at some sixty bytes each; the database knows them all.
_REMEMBERED = 250_000


class Admission:
    """Decides about the candidates of one writer, and remembers which combinations of dimensions it has let in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._remembered: set[int] = set()

    def is_sure(self, workspace: int, meters: Meters, candidates: Sequence[Candidate]) -> bool:
        """Whether every candidate is admitted without a look at the database."""
        return not (
            any(one.correction for one in candidates)
            or (meters.closed and any(meters.is_closed(one.event.subject, one.time) for one in candidates))
            or self._new(workspace, meters, candidates)
        )

    def refused(
        self, connection: Connection, workspace: int, meters: Meters, candidates: Sequence[Candidate]
    ) -> dict[int, ItemResult]:
        """The candidates to refuse, by place.

        Args:
            connection: In a transaction of the workspace; it notes the combinations that are let in.
            workspace: The workspace's id.
            meters: The meters that read the candidates.
            candidates: In the order they came.
        """
        return {
            **self._too_many(connection, workspace, meters, candidates),
            **self._too_late(connection, workspace, candidates),
            **self._closed(connection, meters, candidates),
        }

    @staticmethod
    def _closed(
        connection: Connection, meters: Meters, candidates: Sequence[Candidate]
    ) -> dict[int, ItemResult]:
        """New use of periods that are billed, under contracts that let nothing be added to these."""
        places = {
            place: one.key
            for place, one in enumerate(candidates)
            if one.readings and meters.is_closed(one.event.subject, one.time)
        }
        # What was recorded before is still a duplicate, or a conflict.
        known = ingest.find(connection, sorted(set(places.values()))) if places else {}
        return {place: CLOSED for place, key in places.items() if key not in known}

    def _too_late(
        self, connection: Connection, workspace: int, candidates: Sequence[Candidate]
    ) -> dict[int, ItemResult]:
        """Corrections of events whose keys are forgotten: they could never be applied."""
        targets = {place: one.correction.target for place, one in enumerate(candidates) if one.correction}
        if not targets:
            return {}
        unknown = set(targets.values()) - ingest.find(connection, list(targets.values())).keys()
        unknown -= {one.key for one in candidates}
        forgotten = ingest.forgotten(connection, workspace, unknown) if unknown else frozenset()
        days = self._limits.key_retention_s // DAY_S
        late = ItemResult(
            "rejected",
            "data.id",
            f"the event was received more than {days} days ago and can no longer be corrected",
            "send the difference as an event of its own, or settle it on the next invoice",
        )
        return {place: late for place, target in targets.items() if target in forgotten}

    def _too_many(
        self, connection: Connection, workspace: int, meters: Meters, candidates: Sequence[Candidate]
    ) -> dict[int, ItemResult]:
        """Events that would bring a subject past the declared number of combinations of a meter's dimensions."""
        new = self._new(workspace, meters, candidates)
        if not new:
            return {}
        wanted = list(dict.fromkeys(one for found in new.values() for one in found))
        admitted = let_in(connection, workspace, wanted, self._limits.dimension_combinations)
        self._remember(workspace, admitted)
        return {
            place: over_the_limit(meters, over, self._limits.dimension_combinations)
            for place, found in new.items()
            if (over := next((one for one in found if one not in admitted), None)) is not None
        }

    def _new(
        self, workspace: int, meters: Meters, candidates: Sequence[Candidate]
    ) -> dict[int, list[Combination]]:
        """The combinations that are not remembered, by the place of the candidate."""
        remembered, older = self._remembered, meters.older
        new: dict[int, list[Combination]] = {}
        for place, one in enumerate(candidates):
            subject = one.event.subject
            for revision, reading in one.readings:
                dimensions = reading.dimensions
                if (
                    dimensions
                    and hash((workspace, subject, revision, dimensions)) not in remembered
                    and revision not in older
                ):
                    new.setdefault(place, []).append(combination_of(workspace, subject, revision, reading))
        return new

    def _remember(self, workspace: int, admitted: set[Combination]) -> None:
        if len(self._remembered) + len(admitted) > _REMEMBERED:
            self._remembered.clear()
        self._remembered.update(
            hash((workspace, one.subject, one.revision, counters.read_dimensions(one.dimensions)))
            for one in admitted
        )
