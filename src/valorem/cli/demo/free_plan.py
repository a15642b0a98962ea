"""The demonstration of a free plan: 80 %, 100 %, the prompt, the upgrade, and on; with every webhook printed as it comes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources

from valorem.cli.check import show_prompt
from valorem.cli.listening import Receiver, listening, print_received, verified
from valorem.cli.output import say
from valorem.client import Client
from valorem.client.limit_values import Check

START = datetime(2026, 1, 1, tzinfo=UTC)
_ARRIVES_WITHIN_S = 10.0
_FREE_A_DAY = 10


@contextmanager
def _told(client: Client) -> Iterator["_Told"]:
    with listening() as receiver:
        endpoint = client.create_endpoint(receiver.url)
        yield _Told(receiver, endpoint.secret or "")


class _Told:
    """Prints webhooks as they come, and knows how many were right."""

    def __init__(self, receiver: Receiver, secret: str) -> None:
        self._receiver = receiver
        self._secret = secret
        self.topics: list[str] = []

    def wait_for(self, topic: str, count: int = 1) -> bool:
        """Print what comes until so many of a topic have come; False if they do not."""
        deadline = time.monotonic() + _ARRIVES_WITHIN_S
        while self.topics.count(topic) < count:
            for received in self._receiver.waiting():
                found = verified(received, self._secret)
                print_received(received, self._secret)
                if found is not None:
                    self.topics.append(str(found.get("type")))
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True


def play_free_plan(client: Client) -> bool:
    """A customer on the free plan meets its limit, sees what comes next, upgrades and goes on; whether all was so."""
    files = dict(_files())
    client.apply_catalog(files, message="A free plan", author="demo")
    client.create_customer("ada", "Ada's Archive", "USD")
    client.create_contract("ada", "free", start=START)
    client.advance_clock(to=START + timedelta(hours=9))
    say("plan free: 10 summaries a day, 100 a month; the prompt offers pro\n", "bold")
    with _told(client) as told:
        checks = [_summarise(client, number) for number in range(8)]
        ok = all(check.consumed == "recorded" for check in checks) and told.wait_for("alert.crossed")
        checks = [_summarise(client, number) for number in range(8, _FREE_A_DAY)]
        ok = (
            ok and all(check.consumed == "recorded" for check in checks) and told.wait_for("alert.crossed", 2)
        )
        denied = _summarise(client, _FREE_A_DAY)
        say(f"the 11th: {denied.results[0].text}", "bold red")
        show_prompt(denied.results[0])
        asked = client.check("ada", "summaries")
        ok = ok and denied.consumed == "denied" and not asked.allowed and told.wait_for("paywall.hit")
        began = time.monotonic()
        client.upgrade("ada", "pro")
        upgraded = _summarise(client, _FREE_A_DAY)
        took_ms = (time.monotonic() - began) * 1000
        say(f"\nupgraded by one call; the same summary goes through {took_ms:.0f} ms later", "bold green")
        say(upgraded.results[0].text)
        ok = ok and upgraded.consumed == "recorded"
        used = client.usage("ada", "documents", by="day", start=START, end=START + timedelta(days=1))
        say(f"used that day under both plans: {used.total} documents")
        ok = ok and used.total == _FREE_A_DAY + 1
        client.advance_clock(to=START + timedelta(days=1))
        report = client.weekly_report(plan="free")
    reached = {step.step: step.customers for step in report.funnel.steps}
    say(
        "the funnel: " + " → ".join(f"{name.replace('_', ' ')} {count}" for name, count in reached.items()),
        "bold",
    )
    say(f"webhooks received and verified: {len(told.topics)}")
    return ok and all(count == 1 for count in reached.values())


def _summarise(client: Client, number: int) -> Check:
    use = {
        "id": f"summary-{number}",
        "source": "demo/app",
        "type": "document.summarised",
        "data": {"user": "ada", "status": "ok"},
    }
    return client.check("ada", "summaries", consume=use)


def _files() -> Iterator[tuple[str, str]]:
    root = resources.files("valorem.cli.demo") / "freemium"
    for folder in root.iterdir():
        for file in folder.iterdir():
            yield f"{folder.name}/{file.name}", file.read_text(encoding="utf-8")
