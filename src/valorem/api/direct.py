"""A route without the framework's work of a request: for the few that are asked before every piece of a customer's work."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args, get_type_hints

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from valorem.api.access import Needs
from valorem.api.strict_json import StrictRoute, read_json


class DirectRoute(StrictRoute):
    """A route whose endpoint is ``async``, takes ``body`` and ``caller`` and gives a response, and nothing else.

    The document describes it like any other. Resolving dependencies, a stack of contexts for each request and reading the
    content type cost more than half of what a check costs in all.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        hints = get_type_hints(endpoint, include_extras=True)
        model: type[BaseModel] = hints["body"]
        needs = next(each.dependency for each in get_args(hints["caller"])[1:])
        assert isinstance(needs, Needs)

        async def directly(request: Request) -> Response:
            caller = await needs(request)
            value: Any = read_json(request.scope["state"]["body"])
            try:
                body = model.model_validate(value)
            except ValidationError as error:
                found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
                raise RequestValidationError(found) from None
            return await endpoint(body, caller)

        return directly
