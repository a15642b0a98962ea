"""How many combinations of dimension values one subject may bring under one meter."""

from collections.abc import Sequence

from valorem.core.ids import part_of
from valorem.core.metering.meter import Reading
from valorem.engine.meters import Meters
from valorem.engine.results import ItemResult
from valorem.store.postgres import combinations, counters
from valorem.store.postgres.combinations import Combination
from valorem.store.postgres.database import Connection


def combination_of(workspace: int, subject: str, revision: int, reading: Reading) -> Combination:
    """The combination that a reading belongs to."""
    return Combination(
        part_of(workspace, subject), subject, revision, counters.write_dimensions(reading.dimensions)
    )


def let_in(
    connection: Connection, workspace: int, wanted: Sequence[Combination], most: int
) -> set[Combination]:
    """Note new combinations as used, as far as their number allows.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        wanted: Each once, in the order in which they came.
        most: For one subject under one meter revision.

    Returns:
        Those that may be used: known before, or let in now.
    """
    admitted = combinations.known(connection, workspace, wanted)
    fresh = [one for one in wanted if one not in admitted]
    if not fresh:
        return admitted
    used = combinations.count(connection, workspace, fresh)
    new = []
    for one in fresh:
        if used[one.subject, one.revision] < most:
            used[one.subject, one.revision] += 1
            new.append(one)
    if new:
        combinations.insert(connection, workspace, new)
    return admitted.union(new)


def over_the_limit(meters: Meters, over: Combination, most: int) -> ItemResult:
    """What becomes of an event that brings one combination too many."""
    meter = meters.compiled[over.revision].meter
    return ItemResult(
        "rejected",
        "data",
        f"the meter {meter.key} tells {most} combinations of"
        f" {', '.join(meter.dimension_names)} apart for one subject, and this would be one more",
        "count by a value with fewer variants, or leave the dimension out of the meter",
    )
