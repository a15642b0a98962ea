"""What a call may raise."""

import msgspec


class CatalogProblem(msgspec.Struct, frozen=True):
    """One thing to put right in a catalog file."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    status: int = 0
    detail: str = ""
    type: str = ""
    field: str | None = None
    hint: str | None = None
    request_id: str | None = None
    problems: list[CatalogProblem] = []


class ApiError(Exception):
    """The server refused; the message says what was wrong and the way out.

    Attributes:
        status: HTTP status.
        code: Stable name of the kind of problem, such as ``not_found``.
        title: The kind of problem, for people.
        detail: What was wrong this time.
        field: Dotted path of the offending input, where there is one.
        hint: The way out, where there is one.
        request_id: Quote it when asking for help.
        problems: For a catalog, everything that is wrong with it.
    """

    def __init__(self, status: int, body: bytes, request_id: str | None) -> None:
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            problem = _Problem(detail=f"the server answered {status} without saying why")
        self.status = status
        self.code = problem.type.rsplit("/", 1)[-1]
        self.title = problem.title
        self.detail = problem.detail
        self.field = problem.field
        self.hint = problem.hint
        self.request_id = problem.request_id or request_id
        self.problems = problem.problems
        where = f"{self.field}: " if self.field else ""
        way_out = f" ({self.hint})" if self.hint else ""
        super().__init__(f"{where}{self.detail}{way_out}")


class ConnectionFailedError(ConnectionError):
    """The server could not be reached, or went away before it answered, after every retry.

    Whether the last request had its effect is unknown; repeating it with the same ids or Idempotency-Key is safe.
    """


class SpoolError(OSError):
    """An event could not be taken: the buffer is full, or the spool cannot be written. It was not recorded."""
