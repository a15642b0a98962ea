"""``valorem outcomes``: results both sides can verify, from the signed definition to each one's evidence."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from valorem.cli.output import Json, cell, money, more, say, show_json, table
from valorem.cli.parameters import After, Limit, an_instant, quantities
from valorem.cli.session import client_of
from valorem.client.outcome_values import OutcomeDefinition, SharedPeriod
from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.source import UnreadableError, read_source
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Results both sides can verify.")
Contract = Annotated[str, typer.Argument(help="The contract's id.")]
Definition = Annotated[str, typer.Argument(help="The outcome's key.")]
At = Annotated[str | None, typer.Option(help="The instant looked at; now where left out.")]
AsCustomer = Annotated[
    bool, typer.Option("--as-customer", help="With a key of scope outcomes:sign, for the customer.")
]
Person = Annotated[str, typer.Option(help="Who signs.")]
Role = Annotated[str, typer.Option(help="As what.")]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", exists=True, dir_okay=False, help="A definition as in outcomes/; else the catalog's."
    ),
]


@app.command()
def show(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    at: At = None,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Show what both sides see: what is assumed, confirmed and taken back, and its money."""
    board = client_of(context).outcome_dashboard(
        contract, definition, at=an_instant(at, "--at"), after=after, limit=limit
    )
    if as_json:
        show_json(board)
        return
    say(f"{board.name} at {cell(board.at)}: version {len(board.status)} is {board.status[-1]}", "bold")
    matures = f", the next matures at {cell(board.next_matures_at)}" if board.next_matures_at else ""
    say(f"{board.assumed:,} assumed{matures}")
    say(f"{board.confirmed:,} confirmed · {board.reversed:,} reversed · {board.cancelled:,} cancelled")
    for reason, count in board.rejected.items():
        say(f"{count:,} rejected: {reason}")
    if board.unreadable:
        event, reason = next(iter(board.unreadable.items()))
        say(f"{len(board.unreadable):,} events cannot be read, such as {event}: {reason}", "yellow")
    table(
        ("period", "assumed", "confirmed", "cancelled", "reversed", "amount", "of it credit"),
        [
            (
                each.label,
                each.assumed,
                each.confirmed,
                each.cancelled,
                each.reversed,
                money(each.amount, board.currency),
                money(each.credit, board.currency),
            )
            for each in board.periods
        ],
        right=("assumed", "confirmed", "cancelled", "reversed", "amount", "of it credit"),
    )
    say(f"the running period comes to {money(board.if_silent, board.currency)} if nothing more is heard")
    table(
        ("key", "state", "since", "by", "matures", "disputed"),
        [(o.key, o.state, o.since, o.rule, o.matures_at, o.disputed) for o in board.outcomes],
    )
    more(board.next)


@app.command()
def definitions(context: typer.Context, contract: Contract, as_json: Json = False) -> None:
    """List a contract's definitions, with who has signed them."""
    found = client_of(context).list_outcome_definitions(contract).items
    if as_json:
        show_json(found)
        return
    table(
        ("outcome", "version", "status", "effective", "live", "signed", "digest"),
        [
            (
                each.outcome,
                each.number,
                each.status,
                each.effective_from,
                each.live_from,
                ", ".join(signature.party for signature in each.signatures),
                each.digest,
            )
            for each in found
        ],
        right=("version",),
    )


@app.command()
def propose(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    file: File = None,
    effective: Annotated[str | None, typer.Option(help="From when it holds; the next quarter hour.")] = None,
    live: Annotated[str | None, typer.Option(help="From when it bills; in shadow where left out.")] = None,
    retroactive: Annotated[
        bool, typer.Option("--retroactive", help="It holds even before both have signed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a definition, or an amendment of one, before both sides."""
    made = client_of(context).propose_outcome(
        contract,
        definition,
        terms=_terms(file),
        effective_from=an_instant(effective, "--effective"),
        live_from=an_instant(live, "--live"),
        retroactive=retroactive,
    )
    _show(made, as_json=as_json)


@app.command()
def backtest(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Show what an amendment would have changed on all recorded evidence; nothing is written."""
    found = client_of(context).backtest_outcome(contract, definition, terms=_terms(file))
    if as_json:
        show_json(found)
        return
    for change in found.changes:
        say(change)
    table(
        ("from", "to", "before", "after"),
        [(each.start, each.end, each.before, each.after) for each in found.periods],
        right=("before", "after"),
    )
    say(f"in all {cell(found.change)}, {len(found.moved):,} outcomes stand otherwise", "bold")


@app.command()
def sign(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    digest: Annotated[str, typer.Argument(help="Of the text that is signed.")],
    person: Person,
    role: Role,
    version: Annotated[int, typer.Option(min=1, help="Which version.")] = 1,
    as_customer: AsCustomer = False,
    as_json: Json = False,
) -> None:
    """Sign exactly one text; nothing is billed before both sides have."""
    client = client_of(context)
    call = client.sign_outcome_as_customer if as_customer else client.sign_outcome
    _show(call(contract, definition, version, digest, person, role), as_json=as_json)


@app.command()
def invite(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    version: Annotated[int | None, typer.Option(min=1, help="Which version; the newest.")] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How long the link works.")] = 14,
    as_json: Json = False,
) -> None:
    """Make a link by which the customer signs a version once, without a key."""
    made = client_of(context).invite_to_sign_outcome(contract, definition, number=version, lasts_days=days)
    if as_json:
        show_json(made)
        return
    say(f"version {made.number}, digest {made.digest}", "bold")
    say(f"give this to the person who signs for the customer; it works once, until {cell(made.expires_at)}:")
    say(f"  {made.token}")


@app.command(name="sign-by-link")
def sign_by_link(
    context: typer.Context,
    token: Annotated[str, typer.Argument(help="Of the link.")],
    person: Annotated[
        str | None, typer.Option(help="Who signs; the text is only shown where left out.")
    ] = None,
    role: Annotated[str | None, typer.Option(help="As what.")] = None,
    digest: Annotated[str | None, typer.Option(help="Of the text that was read.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a link is for; with --person, --role and --digest sign it as the customer."""
    client = client_of(context)
    if person is None or role is None or digest is None:
        found = client.look_at_signing_link(token)
        if as_json:
            show_json(found)
            return
        say(f"{found.definition.outcome} version {found.definition.number} for {found.customer}", "bold")
        show_json(found.definition.terms)
        say(f"digest {found.definition.digest}")
        say(f"sign it with --person, --role and --digest until {cell(found.expires_at)}")
        return
    _show(client.sign_outcome_by_link(token, digest, person, role), as_json=as_json)


@app.command()
def savings(
    context: typer.Context, contract: Contract, definition: Definition, as_json: Json = False
) -> None:
    """Show what each period saved, what of it is shared, and the arithmetic."""
    found = client_of(context).outcome_savings(contract, definition)
    if as_json:
        show_json(found)
        return
    columns = ("from", "baseline", "actual", "saved", "counts", "loss carried", "fee", "billed", "estimate")
    table(
        columns,
        [
            (
                each.start,
                each.baseline,
                each.actual,
                each.savings,
                each.proven,
                each.carried,
                each.fee,
                money(each.billed, found.currency),
                _estimated(each),
            )
            for each in found.items
        ],
        right=columns[1:8],
    )


def _estimated(period: SharedPeriod) -> str:
    if period.estimate is not None:
        return (
            f"{cell(period.estimate.point)} (from {cell(period.estimate.lower)}), {period.estimate.library}"
        )
    if not period.over:
        return "not over yet"
    return "" if period.known else "nothing known yet"


@app.command()
def estimate(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    period: Annotated[int | None, typer.Option(min=0, help="Which; the last one that is over.")] = None,
    as_json: Json = False,
) -> None:
    """Make a period's estimate now instead of when its invoice is final; it is made once and kept for good."""
    made = client_of(context).estimate_outcome_savings(contract, definition, period_index=period)
    if as_json:
        show_json(made)
        return
    say(f"period {made.period_index}: {cell(made.point)}, lower bound {cell(made.lower)}", "bold")
    say(f"{made.formula}; {made.library}")


@app.command()
def live(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    version: Annotated[int, typer.Option(min=1, help="Which version.")] = 1,
    since: Annotated[str | None, typer.Option(help="The next quarter hour where left out.")] = None,
    as_json: Json = False,
) -> None:
    """Let a version in shadow bill, once both lists agree and both have signed the report."""
    made = client_of(context).start_outcome_billing(
        contract, definition, version, since=an_instant(since, "--since")
    )
    _show(made, as_json=as_json)


@app.command()
def retire(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    version: Annotated[int, typer.Option(min=1, help="Which version.")] = 1,
    since: Annotated[str | None, typer.Option(help="The next quarter hour where left out.")] = None,
    as_json: Json = False,
) -> None:
    """Let a version accept nothing more."""
    made = client_of(context).retire_outcome(
        contract, definition, version, since=an_instant(since, "--since")
    )
    _show(made, as_json=as_json)


@app.command(name="open")
def open_(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    key: Annotated[str, typer.Argument(help="The outcome's key.")],
    at: At = None,
    as_json: Json = False,
) -> None:
    """Open one outcome to its evidence."""
    found = client_of(context).open_outcome(contract, definition, key, at=an_instant(at, "--at"))
    if as_json:
        show_json(found)
        return
    say(f"{found.key} is {found.state}", "bold")
    table(
        ("state", "at", "known", "by"),
        [(each.state, each.at, each.known_at, each.rule) for each in found.history],
    )
    table(
        ("time", "received", "type", "source", "id", "data"),
        [(each.time, each.received_at, each.type, each.source, each.id, each.data) for each in found.events],
        title="evidence",
    )


@app.command()
def bills(
    context: typer.Context, contract: Contract, definition: Definition, at: At = None, as_json: Json = False
) -> None:
    """Show what each period comes to, the running one as it stands."""
    found = client_of(context).outcome_bills(contract, definition, at=an_instant(at, "--at"))
    if as_json:
        show_json(found)
        return
    table(
        ("from", "to", "version", "quantity", "usage", "credit", "total"),
        [(b.start, b.end, b.version, b.quantity, b.usage, b.credit, b.total) for b in found.items],
        right=("version", "quantity", "usage", "credit", "total"),
    )
    say(f"in all {money(found.total, found.currency)}", "bold")


@app.command()
def bundle(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    to: Annotated[Path, typer.Option("--to", dir_okay=False, help="The ZIP to write.")],
    key: Annotated[list[str] | None, typer.Option(help="Only this outcome; may be repeated.")] = None,
    at: At = None,
) -> None:
    """Write the evidence of outcomes to a file: the same bytes each time for the same instant."""
    found = client_of(context).outcome_bundle(contract, definition, keys=key or (), at=an_instant(at, "--at"))
    to.write_bytes(base64.b64decode(found.content))
    say(f"{to}: SHA-256 {found.sha256}")


@app.command()
def agreement(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The customer's own list, one key a line.")
    ],
    period: Annotated[int | None, typer.Option(min=0, help="Which cycle; the last one that ended.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a cycle with the customer's own list, key by key."""
    keys = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    report = client_of(context).compare_outcomes(
        contract, definition, [{"key": key} for key in dict.fromkeys(keys) if key], period_index=period
    )
    if as_json:
        show_json(report)
        return
    found = report.report
    say(
        f"{report.id}: agreement {found['agreement']}, {'enough' if found['agrees'] else 'not enough'}",
        "bold",
    )
    say(f"on both lists {len(found['both']):,}")
    for name, title in (("vendor_only", "only on ours"), ("source_only", "only on the customer's")):
        say(f"{title} {len(found[name]):,}: {', '.join(found[name][:10])}")


@app.command(name="sign-report")
def sign_report(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    report: Annotated[str, typer.Argument(help="The report's id.")],
    person: Person,
    role: Role,
    as_customer: AsCustomer = False,
) -> None:
    """Sign a report of agreement."""
    client = client_of(context)
    call = client.sign_outcome_report_as_customer if as_customer else client.sign_outcome_report
    (signed,) = call(contract, definition, report, person, role).items
    say(f"{signed.id} is signed by {' and '.join(signed.signed)}")


@app.command()
def disputes(
    context: typer.Context, contract: Contract, definition: Definition, as_json: Json = False
) -> None:
    """List the disputes."""
    found = client_of(context).list_outcome_disputes(contract, definition).items
    if as_json:
        show_json(found)
        return
    table(
        ("dispute", "by", "at", "reason", "outcomes", "resolved", "invoice"),
        [
            (each.id, each.by, each.at, each.reason, each.keys, len(each.resolutions), each.invoice)
            for each in found
        ],
        right=("resolved",),
    )


@app.command()
def dispute(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    key: Annotated[list[str], typer.Argument(help="The outcomes.")],
    reason: Annotated[str, typer.Option(help="From the definition's list.")],
    text: Annotated[str, typer.Option(help="In your own words.")] = "",
    invoice: Annotated[str | None, typer.Option(help="The final invoice that bills them.")] = None,
    as_customer: AsCustomer = False,
) -> None:
    """Open a dispute."""
    client = client_of(context)
    call = client.dispute_outcomes_as_customer if as_customer else client.dispute_outcomes
    made = call(contract, definition, key, reason, text=text, invoice=invoice)
    say(f"{made.id} is open about {len(made.keys):,} outcomes")


@app.command()
def answer(context: typer.Context, contract: Contract, definition: Definition, dispute: str) -> None:
    """Note that a dispute was answered."""
    made = client_of(context).answer_outcome_dispute(contract, definition, dispute)
    say(f"{made.id} was answered at {cell(made.answered_at)}")


@app.command()
def resolve(
    context: typer.Context,
    contract: Contract,
    definition: Definition,
    dispute: str,
    resolution: Annotated[list[str], typer.Option(help="key=share, 1 upholds and 0 rejects.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Resolve disputed outcomes one by one; what is upheld is credited."""
    made = client_of(context).resolve_outcome_dispute(
        contract, definition, dispute, quantities(resolution, "--resolution"), note=note
    )
    say(f"{made.id}: {len(made.resolutions):,} of {len(made.keys):,} resolved")


def _terms(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        source, problems = read_source(file.name, file.read_text(encoding="utf-8"))
    except UnreadableError as error:
        raise CatalogError((error.problem,)) from None
    if problems:
        raise CatalogError(problems)
    if not isinstance(source.value, dict):
        raise InvalidInputError(
            f"{file} holds no definition", field="--file", hint="write it as in outcomes/"
        )
    return dict(source.value)


def _show(made: OutcomeDefinition, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    say(f"{made.outcome} version {made.number} is {made.status}", "bold")
    say(f"digest {made.digest}")
    say(f"effective {cell(made.effective_from)}, bills from {cell(made.live_from)}")
    if made.missing:
        say(f"not signed yet by {' and '.join(made.missing)}")
