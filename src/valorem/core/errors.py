"""The errors every room raises and every face renders.

Each names what was wrong, where (``field``) and the way out (``hint``), so that a face never has to guess.
"""

from typing import ClassVar


class ValoremError(Exception):
    """Base of all errors that a user can act on.

    Attributes:
        code: Stable machine-readable name, also the tail of the problem's ``type`` URI.
        status: The HTTP status that says the same.
        message: What was wrong, in plain words.
        field: Dotted path of the offending input (``events[3].data.tokens``), where there is one.
        hint: What to do next, where the message alone does not say.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        way_out = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{way_out}"


class InvalidInputError(ValoremError):
    """Input that can never be accepted as it is."""

    code = "invalid_input"
    status = 400


class UnauthorizedError(ValoremError):
    """No key, or one that is unknown, revoked or expired."""

    code = "unauthorized"
    status = 401


class ForbiddenError(ValoremError):
    """A known key that lacks the scope."""

    code = "forbidden"
    status = 403


class NotFoundError(ValoremError):
    """The thing asked for does not exist in this workspace."""

    code = "not_found"
    status = 404


class ConflictError(ValoremError):
    """The request contradicts what is already recorded."""

    code = "conflict"
    status = 409


class TooLargeError(ValoremError):
    """A declared limit on size was passed."""

    code = "too_large"
    status = 413


class UnprocessableError(ValoremError):
    """Understood and well-formed, but not allowed in the present state."""

    code = "unprocessable"
    status = 422


class OverloadedError(ValoremError):
    """Nothing was accepted; the same request may be sent again after ``retry_after_s``."""

    code = "overloaded"
    status = 503

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message, hint=f"send it again after {retry_after_s} s")
        self.retry_after_s = retry_after_s
