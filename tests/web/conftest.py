"""Passwords of these tests are hashed at the least cost: signing in is what they are about, not how long it takes."""

from collections.abc import Iterator

import pytest

from tests.web.console import cheap_passwords


@pytest.fixture(scope="session", autouse=True)
def passwords_cost_little() -> Iterator[None]:
    with cheap_passwords():
        yield
