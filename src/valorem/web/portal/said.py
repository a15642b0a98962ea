"""Things of the engine in the customer's words: windows, what happens at a limit, who can raise it, what was told."""

from collections.abc import Mapping, Sequence

from valorem.core.alerts.budgets import Budget
from valorem.core.alerts.thresholds import parse_threshold
from valorem.core.billing.invoice import Line
from valorem.core.entitlements.check import LimitState
from valorem.core.entitlements.limits import Limit
from valorem.core.entitlements.windows import Window
from valorem.engine.budgeting import BudgetState
from valorem.store.postgres.alerts import Crossing
from valorem.web.portal.words import Words

#: What was done, as the address of the next page says it.
NOTICES = (
    "budget_set",
    "budget_removed",
    "notice_set",
    "notice_removed",
    "plan_changed",
    "seats_changed",
    "credits_bought",
    "payment_asked",
    "billing_changed",
    "signed",
    "dispute_opened",
)


def notice(words: Words, done: str) -> str | None:
    """What was done, in words; None for what nobody does here."""
    return {
        "budget_set": words.say("Your budget is set. It counts from the start of its window."),
        "budget_removed": words.say("The budget is removed."),
        "notice_set": words.say("From now on we write to this address."),
        "notice_removed": words.say("We no longer write to this address."),
        "plan_changed": words.say("Your plan is changed. The next invoice says what it comes to."),
        "seats_changed": words.say("Changed. The next invoice says what it comes to."),
        "credits_bought": words.say("Bought. The invoice is among yours."),
        "payment_asked": words.say("Your payment is on its way. This page says when it has arrived."),
        "billing_changed": words.say("Your billing details are changed. The next invoice carries them."),
        "signed": words.say("Signed. Your name, the time and the text's fingerprint are kept with it."),
        "dispute_opened": words.say("Your dispute is open. While it is, these results are not due."),
    }.get(done)


def window_text(words: Words, window: Window) -> str:
    """Over which time something counts."""
    calendar = {
        "hour": words.say("each hour"),
        "day": words.say("each day"),
        "week": words.say("each week"),
        "month": words.say("each month"),
        "quarter": words.say("each quarter"),
        "year": words.say("each year"),
    }
    hours = int(window.length.total_seconds()) // 3600
    match window.kind:
        case "calendar":
            return calendar[window.unit]
        case "billing_period":
            return words.say("each billing period")
        case "rolling":
            return words.count("in the last %(n)s hour", "in the last %(n)s hours", hours)
        case "from_first_use":
            return words.count("%(n)s hour from the first use", "%(n)s hours from the first use", hours)
    return words.say("in all")


def at_the_edge(words: Words, limit: Limit, unit: str) -> str:
    """What a limit does, with a verb."""
    if limit.kind == "hard":
        return words.say("Blocks new use")
    if limit.kind == "throttle" and limit.slow_to is not None:
        return words.say(
            "Slows down to %(n)s %(unit)s %(window)s",
            n=words.quantity_text(limit.slow_to.max),
            unit=unit,
            window=window_text(words, limit.slow_to.window),
        )
    if limit.enforce_at is not None:
        return words.say(
            "Warns, and blocks at %(n)s %(unit)s",
            n=words.quantity_text(limit.max * limit.enforce_at),
            unit=unit,
        )
    return words.say("Warns only; use goes on")


def budget_edge(words: Words, budget: Budget) -> str:
    """What a budget does, with a verb."""
    if budget.kind == "hard":
        return words.say("Blocks new use that costs money")
    return words.say("Tells you; use goes on")


def who_raises(words: Words, state: LimitState) -> str:
    """Who can raise a limit."""
    return {
        "plan": words.say("set by your plan"),
        "add-on": words.say("raised by an add-on"),
        "trial": words.say("raised for your trial"),
        "promotion": words.say("raised for a while, as a promotion"),
        "override": words.say("agreed with you"),
    }.get(state.origin, words.say("set by your plan"))


def standing_word(words: Words, state: LimitState) -> tuple[str, str]:
    """How near a limit is, as a word and its tone."""
    if state.over:
        return words.say("passed"), "bad"
    if state.most and state.taken >= state.most:
        return words.say("reached"), "bad"
    if state.most and state.taken * 5 >= state.most * 4:
        return words.say("near"), "warn"
    return words.say("fine"), "good"


def threshold_text(words: Words, text: str, currency: str) -> str:
    """A threshold as people write it."""
    threshold = parse_threshold(text)
    if threshold.form == "share":
        return words.percent(threshold.value)
    return words.money_text(threshold.value, currency)


def crossing_text(
    words: Words, crossing: Crossing, budgets: Sequence[BudgetState], names: Mapping[str, str], currency: str
) -> str:
    """What was crossed, in words.

    Args:
        words: The language.
        crossing: What happened.
        budgets: The customer's.
        names: What meters and features are called.
        currency: Of amounts.
    """
    kind, _, rest = crossing.alert.partition(":")
    key = rest.partition(":")[0]
    at = threshold_text(words, crossing.threshold, currency)
    what = names.get(key, key.replace("_", " "))
    if kind == "budget":
        amount = next((each.budget.amount for each in budgets if each.id == key), None)
        if amount is None:
            return words.say("%(share)s of a budget that is gone was used", share=at)
        return words.say(
            "%(share)s of your budget of %(amount)s was used",
            share=at,
            amount=words.money_text(amount, currency),
        )
    if kind == "included":
        return words.say("%(what)s: %(share)s of what is included was used", what=what, share=at)
    if kind == "limit":
        return words.say("%(what)s: %(share)s of the limit was used", what=what, share=at)
    if kind == "credits":
        return words.say("Credits, %(what)s: %(share)s reached", what=what, share=at)
    return words.say("%(what)s passed %(share)s", what=what or words.say("Your bill"), share=at)


def line_text(line: Line, names: Mapping[str, str]) -> str:
    """A line as the invoice has it, with values called as the vendor calls them."""
    text = line.description
    for name, value in line.dimensions.items():
        if value is not None and value in names:
            text = text.replace(f"{name} {value}", names[value])
    return text


def invoice_status(words: Words, status: str) -> tuple[str, str]:
    """An invoice's status as a word and its tone."""
    return {
        "draft": (words.say("being prepared"), "warn"),
        "finalised": (words.say("open"), "info"),
        "issued": (words.say("open"), "info"),
        "overdue": (words.say("overdue"), "bad"),
        "partially_paid": (words.say("partly paid"), "warn"),
        "paid": (words.say("paid"), "good"),
        "void": (words.say("void"), ""),
        "uncollectible": (words.say("written off"), "bad"),
    }.get(status, (status.replace("_", " "), ""))


def step_label(words: Words, label: str) -> str:
    """A step of an invoice line's arithmetic."""
    return {
        "already billed": words.say("already billed"),
        "booked": words.say("booked"),
        "discount": words.say("discount"),
        "drawn": words.say("drawn"),
        "included": words.say("included"),
        "maximum": words.say("maximum"),
        "measured": words.say("measured"),
        "minimum": words.say("minimum"),
        "model": words.say("price"),
        "multipliers": words.say("factors"),
        "proration": words.say("part of the period"),
        "round": words.say("rounded"),
        "share": words.say("share"),
        "taken back": words.say("taken back"),
        "unit amount": words.say("price of one"),
        "unit conversion": words.say("unit"),
    }.get(label, label)


def line_kinds(words: Words) -> dict[str, str]:
    """What a line of a statement of credits is."""
    return {
        "opening": words.say("brought forward"),
        "granted": words.say("given"),
        "used": words.say("used"),
        "returned": words.say("given back by a correction"),
        "expired": words.say("expired unused"),
        "taken back": words.say("taken back"),
        "closing": words.say("carried forward"),
    }


def grant_sources(words: Words) -> dict[str, str]:
    """Where credits come from."""
    return {
        "included": words.say("your plan"),
        "purchased": words.say("bought"),
        "promotional": words.say("a present"),
        "adjustment": words.say("given by us"),
    }


def outcome_state(words: Words, state: str) -> tuple[str, str]:
    """A result's state as a word and its tone."""
    return {
        "candidate": (words.say("not counted yet"), ""),
        "assumed": (words.say("assumed, until the window ends"), "warn"),
        "confirmed": (words.say("confirmed"), "good"),
        "reversed": (words.say("taken back"), "bad"),
        "rejected": (words.say("not counted"), ""),
        "cancelled": (words.say("cancelled"), ""),
    }.get(state, (state, ""))


def error_text(words: Words, code: str) -> str:
    """An error in words, whatever field it names."""
    return {
        "not_found": words.say("There is nothing at this address."),
        "forbidden": words.say("This is not yours to change here."),
        "conflict": words.say("Somebody was quicker: this was changed meanwhile."),
        "invalid_input": words.say("Please look at what you entered."),
        "unprocessable": words.say("This cannot be done as things stand."),
        "too_fast": words.say("Too many pages at once. Wait a moment, then load the page again."),
        "too_many_tries": words.say("Too many links failed. Wait a quarter of an hour, then try again."),
        "overloaded": words.say("We cannot answer right now. Try again in a moment."),
    }.get(code, words.say("Something went wrong on our side. What was done before is kept."))
