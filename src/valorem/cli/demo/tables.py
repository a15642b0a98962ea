"""What the demonstration prints."""

from collections.abc import Sequence
from decimal import Decimal

from valorem.cli.demo.proof import Proof
from valorem.cli.demo.traffic import Buyer
from valorem.cli.output import out, say, table
from valorem.client.values import Explanation, InvoiceHeader, Preview, Usage


def show_usage(usage: Usage) -> None:
    """A customer's usage, a row for each combination of dimension values."""
    table(
        ("model", "kind", "tokens", "events"),
        (
            (row.dimensions.get("model"), row.dimensions.get("kind"), f"{row.quantity:,}", f"{row.events:,}")
            for row in usage.rows
        ),
        right=("tokens", "events"),
        title=f"Usage of {usage.customer}, {usage.start:%d %b} to {usage.end:%d %b %Y}, as of {usage.as_of:%d %b %H:%M}",
    )


def show_projection(previews: Sequence[tuple[Buyer, Preview]]) -> None:
    """What customers owe so far, and where that is going."""
    table(
        ("customer", "plan", "so far", "projected", "low", "high"),
        (
            (buyer.name, buyer.plan, *(_money(amount) for amount in _amounts(preview)))
            for buyer, preview in previews
        ),
        right=("so far", "projected", "low", "high"),
        title="In the middle of the month: owed so far, and projected to its end (USD)",
    )


def show_invoices(title: str, invoices: Sequence[InvoiceHeader], most: int = 8) -> None:
    """The largest invoices of a run, and the sum of all."""
    largest = sorted(invoices, key=lambda header: header.total or Decimal(0), reverse=True)[:most]
    total = sum((header.total or Decimal(0) for header in invoices), Decimal(0))
    table(
        ("number", "customer", "period", "total USD"),
        (
            (
                header.number,
                header.customer,
                f"{header.period_start:%d %b} – {header.period_end:%d %b %Y}",
                _money(header.total),
            )
            for header in largest
        ),
        right=("total USD",),
        title=f"{title}: {len(invoices)} invoices over {_money(total)} USD, the largest",
    )


def show_explanation(number: str, explanation: Explanation, most: int = 5) -> None:
    """One line, from its amount down to the first of its events."""
    say(f"One line of {number}, explained", "bold")
    for text in explanation.text:
        say(text)
    for event in explanation.events[:most]:
        say(f"    {event.time:%d %b %H:%M:%S}  {event.id:<14} {_tokens(event.data)}")
    if len(explanation.events) > most or explanation.next:
        say("    … and so on, page by page, down to the last", "dim")


def show_proof(proof: Proof) -> None:
    """The proof, a row for each claim."""
    same_money = proof.billed == proof.computed and not proof.differing
    table(
        ("claim", "numbers", "holds"),
        (
            (
                "all invoices = arithmetic that shares no code",
                f"{_money(proof.billed)} = {_money(proof.computed)}",
                _yes(same_money),
            ),
            (
                "computed again from recorded events: the same bytes",
                f"{proof.recomputed} of {proof.invoices}",
                _yes(proof.recomputed == proof.invoices),
            ),
            (
                "every event counted once",
                f"{proof.events_counted:,} of {proof.events_sent:,}",
                _yes(proof.events_counted == proof.events_sent),
            ),
        ),
        right=("numbers",),
        title="Proof",
    )
    for customer in proof.differing[:10]:
        out.print(f"[bold red]differs:[/] {customer}")


def _amounts(preview: Preview) -> tuple[Decimal | None, ...]:
    return preview.so_far.total, preview.projected.total, preview.low, preview.high


def _money(amount: Decimal | None) -> str:
    return "–" if amount is None else f"{amount:,.2f}"


def _tokens(data: dict[str, object]) -> str:
    return f"{data.get('model')}: {data.get('input_tokens')} in, {data.get('output_tokens')} out"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
