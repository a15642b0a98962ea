"""Admission: valid events that the workspace's own past refuses, before a transaction is opened for the others.

Both checks cost nothing for what comes every day: combinations that were seen before, and events that correct none.
"""

from collections.abc import Sequence

from valorem.core.ids import part_of
from valorem.core.limits import DAY_S, Limits
from valorem.engine.meters import Meters
from valorem.engine.recording import Candidate, ItemResult
from valorem.store.postgres import combinations, counters, ingest
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
        return not any(one.correction for one in candidates) and not self._new(workspace, meters, candidates)

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
        return self._too_late(connection, workspace, candidates) | self._too_many(
            connection, workspace, meters, candidates
        )

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
        admitted = combinations.known(connection, workspace, wanted)
        fresh = [one for one in wanted if one not in admitted]
        if fresh:
            used = combinations.count(connection, workspace, fresh)
            let_in = []
            for one in fresh:
                if used[one.subject, one.revision] < self._limits.dimension_combinations:
                    used[one.subject, one.revision] += 1
                    let_in.append(one)
            if let_in:
                combinations.insert(connection, workspace, let_in)
            admitted.update(let_in)
        self._remember(workspace, admitted)
        return {
            place: self._explain(meters, over)
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
                    text = counters.write_dimensions(dimensions)
                    new.setdefault(place, []).append(
                        Combination(part_of(workspace, subject), subject, revision, text)
                    )
        return new

    def _remember(self, workspace: int, admitted: set[Combination]) -> None:
        if len(self._remembered) + len(admitted) > _REMEMBERED:
            self._remembered.clear()
        self._remembered.update(
            hash((workspace, one.subject, one.revision, counters.read_dimensions(one.dimensions)))
            for one in admitted
        )

    def _explain(self, meters: Meters, over: Combination) -> ItemResult:
        meter = meters.compiled[over.revision].meter
        return ItemResult(
            "rejected",
            "data",
            f"the meter {meter.key} tells {self._limits.dimension_combinations} combinations of"
            f" {', '.join(meter.dimension_names)} apart for one subject, and this would be one more",
            "count by a value with fewer variants, or leave the dimension out of the meter",
        )
