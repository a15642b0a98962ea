"""What can be watched from outside, in the Prometheus text format."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.routing import BaseRoute
from starlette.types import Scope


class Metrics:
    """The program's own registry, so that two programs in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "valorem_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "valorem_http_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("route",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self._registry,
        )
        self._events = Counter(
            "valorem_events", "Events by what became of them.", ("result",), registry=self._registry
        )
        self._jobs = Counter(
            "valorem_worker_runs", "Runs of the worker's jobs.", ("job", "result"), registry=self._registry
        )

    def note_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request under its route's pattern; unknown paths share one, so that labels stay few."""
        route: BaseRoute | None = scope.get("route")
        pattern = str(getattr(route, "path", "unknown"))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, pattern, str(status)).inc()
        self._seconds.labels(pattern).observe(seconds)

    def note_events(self, counts: Mapping[str, int]) -> None:
        """Count events by result."""
        for result, count in counts.items():
            if count:
                self._events.labels(result).inc(count)

    def note_job(self, job: str, succeeded: bool) -> None:  # noqa: FBT001 - the worker's note
        """Count one run of a job."""
        self._jobs.labels(job, "done" if succeeded else "failed").inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
