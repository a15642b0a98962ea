"""A request under an Idempotency-Key has its effect once, whatever happens in between."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.conftest import World
from valorem.engine import customers
from valorem.engine.idempotency import forget_answers, once
from valorem.engine.workspaces import list_workspaces

CUSTOMER = {"key": "acme", "name": "Acme", "currency": "USD"}


def test_a_repeat_gets_the_stored_answer(world: World) -> None:
    first = world.post("/v1/customers", CUSTOMER, Idempotency_Key="k1")
    again = world.post("/v1/customers", CUSTOMER, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    assert (
        world.post("/v1/customers", CUSTOMER, Idempotency_Key="k2").status_code == 409
    )  # the effect is there once


def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    world.post("/v1/customers", CUSTOMER, Idempotency_Key="k1")
    for path, body in (
        ("/v1/customers", CUSTOMER | {"name": "Other"}),
        ("/v1/customers/acme/aliases", {"subject": "s"}),
    ):
        answer = world.post(path, body, Idempotency_Key="k1")
        assert answer.status_code == 422
        assert answer.json()["field"] == "Idempotency-Key"


def test_keys_of_two_workspaces_do_not_meet(world: World) -> None:
    assert world.post("/v1/customers", CUSTOMER, Idempotency_Key="k1").status_code == 201
    answer = world.post("/v1/customers", CUSTOMER | {"name": "Other"}, key=world.other, Idempotency_Key="k1")
    assert answer.status_code == 201


def test_a_refused_request_may_be_right_the_next_time(world: World) -> None:
    assert (
        world.post("/v1/contracts", {"customer": "acme", "plan": "p"}, Idempotency_Key="k").status_code == 404
    )
    world.post("/v1/customers", CUSTOMER)
    answer = world.post("/v1/customers/acme/aliases", {"subject": "s"}, Idempotency_Key="k")
    assert answer.status_code == 201


def test_while_the_first_is_at_work_the_second_is_told_so(world: World) -> None:
    workspace = list_workspaces(world.engine)[0].id
    working, finish = threading.Event(), threading.Event()

    def effect() -> tuple[int, bytes, bytes]:
        working.set()
        assert finish.wait(30)
        return 201, b"{}", b"{}"

    def slow() -> None:
        with world.engine.transaction(workspace) as tx:
            once(tx, "k", b"digest", effect)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(slow)
        assert working.wait(30)
        answer = world.post("/v1/customers", CUSTOMER, Idempotency_Key="k")
        finish.set()
        done.result()
    assert answer.status_code == 409
    assert answer.json()["field"] == "Idempotency-Key"


def test_a_crash_before_the_commit_leaves_neither_effect_nor_answer(world: World) -> None:
    workspace = list_workspaces(world.engine)[0].id

    class CrashError(Exception):
        pass

    def crash() -> None:
        with world.engine.transaction(workspace) as tx:

            def effect() -> tuple[int, bytes, bytes]:
                customers.create_customer(tx, key="acme", name="Acme", currency="USD")
                return 201, b"{}", b"{}"

            once(tx, "k", b"digest", effect)
            raise CrashError

    with pytest.raises(CrashError):
        crash()
    assert world.get("/v1/customers/acme").status_code == 404
    assert world.post("/v1/customers", CUSTOMER, Idempotency_Key="k").status_code == 201


def test_eight_at_once_have_one_effect(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: world.post("/v1/customers", CUSTOMER, Idempotency_Key="k"), range(8))
        )
    assert {answer.status_code for answer in answers} <= {201, 409}
    stored = world.post("/v1/customers", CUSTOMER, Idempotency_Key="k")
    assert stored.status_code == 201
    assert all(answer.content == stored.content for answer in answers if answer.status_code == 201)


@pytest.mark.parametrize("key", ["", "é", "a" * 256, "\x7f"])
def test_a_key_that_cannot_be_kept_is_refused(world: World, key: str) -> None:
    answer = world.http.post(
        "/v1/customers",
        json=CUSTOMER,
        headers=[
            (b"authorization", f"Bearer {world.admin}".encode()),
            (b"idempotency-key", key.encode("latin-1")),
        ],
    )
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"


def test_answers_are_forgotten_after_their_time(world: World) -> None:
    world.post("/v1/customers", CUSTOMER, Idempotency_Key="k")
    assert forget_answers(world.engine) == 0
    with world.engine.database.system() as connection:
        connection.execute("UPDATE idempotency SET created_at = created_at - interval '8 days'")
    assert forget_answers(world.engine) == 1
