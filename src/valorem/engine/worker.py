"""The worker: calls the verbs that find their own work, again and again.

Every job is one engine verb that may be run twice, in parallel or be killed anywhere. An advisory lock per job and
workspace lets one process do it at a time; it ends with its connection, so a killed worker leaves nothing to repair.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from valorem.core.errors import OverloadedError
from valorem.engine.engine import Engine
from valorem.engine.retrying import alone
from valorem.engine.workspaces import list_workspaces

log = logging.getLogger(__name__)

#: At least between two rounds: for events that come in meanwhile, and while a job gives way to them.
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do regularly.

    Attributes:
        name: For locks, logs and metrics.
        every_s: Pause between two runs.
        verb: What to do for one workspace; its answer says whether there is more to do at once.
        gives_way_s: How long it waits, once due, while events come in; 0 for what must not wait.
    """

    name: str
    every_s: float
    verb: Callable[[Engine, int], bool]
    gives_way_s: float = 0.0


class Worker:
    """Runs jobs in a thread until stopped.

    Args:
        engine: What the verbs work with.
        jobs: In the order in which they are run when several are due.
        note: Told of each run: the job's name, and whether it succeeded.
        busy: Whether events are being written, and whatever can wait should.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: Sequence[Job],
        *,
        note: Callable[[str, bool], None] = lambda _name, _done: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine = engine
        self._jobs = tuple(jobs)
        self._note = note
        self._busy = busy
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="valorem-worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End after the transaction at work; False if it went on longer, which harms nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run_once(self) -> None:
        """Run every job once for every workspace, until none has more to do."""
        for job in self._jobs:
            while self._run_job(job):
                pass

    def _run(self) -> None:
        due = {job.name: 0.0 for job in self._jobs}
        while not self._stopping.is_set():
            for job in self._jobs:
                late_s = time.monotonic() - due[job.name]
                if self._stopping.is_set() or late_s < 0 or (late_s < job.gives_way_s and self._busy()):
                    continue
                again = self._run_job(job)
                due[job.name] = time.monotonic() + (0.0 if again else job.every_s)
            self._stopping.wait(max(_PAUSE_S, min(due.values()) - time.monotonic()))

    def _run_job(self, job: Job) -> bool:
        """One round over the workspaces; whether any has more to do."""
        try:
            workspaces = list_workspaces(self._engine)
        except OverloadedError as error:
            log.warning("%s waits: %s", job.name, error)
            return False
        again = [self._run_in(job, workspace.id) for workspace in workspaces]
        return any(again)

    def _run_in(self, job: Job, workspace: int) -> bool:
        if self._stopping.is_set():
            return False
        try:
            with alone(self._engine, job.name, workspace, wait_s=0) as mine:
                again = mine and job.verb(self._engine, workspace)
        except OverloadedError as error:
            log.warning("%s of workspace %d waits: %s", job.name, workspace, error)
            self._note(job.name, False)
            return False
        except Exception:  # one workspace's trouble must not keep the others waiting; it is tried again
            log.exception("%s of workspace %d failed and will be tried again", job.name, workspace)
            self._note(job.name, False)
            return False
        self._note(job.name, True)
        return bool(again)
