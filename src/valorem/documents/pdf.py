"""The printed invoice: a PDF/A-3 set by typst in process, the same bytes for the same document."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import typst

from valorem.core.billing.tax_rates import TaxRate
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, exact
from valorem.documents.document import (
    Address,
    BankAccount,
    DocumentLine,
    InvoiceDocument,
    Logo,
    Party,
    UsageSeries,
)
from valorem.documents.fonts import all_fonts, carried_fonts
from valorem.documents.usage_chart import draw_usage
from valorem.documents.words import Words, words_for

_LARGEST_LOGO_BYTES = 512 * 1024
_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}


def render_pdf(
    document: InvoiceDocument, locale: str, *, accent: str = "#1f4e79", fonts: Path | None = None
) -> bytes:
    """The document as a PDF/A-3b file with tags for screen readers.

    Args:
        document: What is printed.
        locale: Language and conventions, such as ``de_CH``.
        accent: The colour of rules and headings, as ``#rrggbb``.
        fonts: A folder with more fonts. Letters that neither it, typst nor the extra `fonts` have are set in those of the
            machine.

    Raises:
        InvalidInputError: For a locale without words, a logo that cannot be drawn, or text that no font has.
    """
    rendered = _compile(document, locale, accent, fonts, "pdf")
    assert isinstance(rendered, bytes)  # a PDF is one file
    return rendered


def render_pages(
    document: InvoiceDocument,
    locale: str,
    *,
    accent: str = "#1f4e79",
    fonts: Path | None = None,
    pixels_per_inch: int = 96,
) -> tuple[bytes, ...]:
    """The same pages as PNG images, for looking at."""
    rendered = _compile(document, locale, accent, fonts, "png", pixels_per_inch)
    return tuple(rendered) if isinstance(rendered, list) else (rendered,)


def _compile(
    document: InvoiceDocument,
    locale: str,
    accent: str,
    fonts: Path | None,
    kind: Any,
    pixels_per_inch: int | None = None,
) -> bytes | list[bytes]:
    colour = _colour(accent)
    data = {**_view(document, words_for(locale), colour), "accent": colour, "logo": _logo(document.logo)}
    issued = datetime.combine(document.issued_on, time(), UTC)
    with as_file(files("valorem.documents").joinpath("templates")) as folder:

        def set_in(known: typst.Fonts) -> bytes | list[bytes] | None:
            compiler = typst.Compiler(folder / "invoice.typ", root=folder, font_paths=known)
            return compiler.compile(
                format=kind,
                ppi=pixels_per_inch,
                sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
                pdf_standards=["a-3b"] if kind == "pdf" else [],
                timestamp=issued,
            )

        try:
            try:
                rendered = set_in(carried_fonts(fonts))
            except typst.TypstError as error:
                if not _lacks_letters(error):
                    raise
                rendered = set_in(all_fonts(fonts))
        except typst.TypstError as error:
            raise _refused(error) from None
    assert rendered is not None  # written to no file, so returned
    return rendered


def _lacks_letters(error: typst.TypstError) -> bool:
    return "could not be displayed" in error.message


def _refused(error: typst.TypstError) -> InvalidInputError:
    if _lacks_letters(error):
        return InvalidInputError(
            "the document has letters that no font at hand can print",
            field="fonts",
            hint="install the extra `fonts` (Japanese, Chinese characters, Arabic), or a font for that script on this machine",
        )
    if "image" in error.message or "SVG" in error.message:
        return InvalidInputError(f"the logo cannot be drawn: {error.message}", field="logo")
    raise error


def _colour(accent: str) -> str:
    digits = accent.removeprefix("#")
    if len(digits) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise InvalidInputError(f"{accent[:20]!r} is no colour", field="accent", hint="write it as #1f4e79")
    return f"#{digits.lower()}"


def _logo(logo: Logo | None) -> dict[str, Any] | None:
    if logo is None:
        return None
    if len(logo.data) > _LARGEST_LOGO_BYTES:
        raise InvalidInputError(
            f"a logo of {len(logo.data)} bytes", field="logo", hint=f"at most {_LARGEST_LOGO_BYTES} bytes"
        )
    if logo.format == "svg":
        try:
            return {"format": "svg", "text": logo.data.decode()}
        except UnicodeDecodeError:
            raise InvalidInputError("the logo is no SVG", field="logo") from None
    if not logo.data.startswith(_SIGNATURES[logo.format]):
        raise InvalidInputError(f"the logo is no {logo.format.upper()}", field="logo")
    return {"format": logo.format, "bytes": list(logo.data)}


@exact
def _view(document: InvoiceDocument, words: Words, accent: str) -> dict[str, Any]:
    """Everything the template prints, as text in the reader's language."""
    label = words.labels
    return {
        "lang": words.locale.language,
        "region": words.locale.territory,
        "dir": "rtl" if words.right_to_left else "ltr",
        "paper": words.paper,
        "label": dict(label),
        "kind": document.kind,
        "title": label[document.kind],
        "number": words.own(document.number),
        "author": document.seller.name,
        "seller": _party(document.seller, words),
        "buyer": _party(document.buyer, words),
        "facts": [[label[key], text] for key, text in _facts(document, words)],
        "groups": list(_groups(document, words)),
        "sums": list(_sums(document, words)),
        "due": {
            "label": label["credited" if document.kind == "credit_note" else "amount_due"],
            "amount": words.money(document.due, document.currency),
        },
        "taxes": [
            [
                _rate(total.rate, words),
                words.money(total.base, document.currency),
                words.money(total.amount, document.currency),
            ]
            for total in document.taxes
        ],
        "payment": _payment(document, words),
        "bank": [[label[key], words.own(value)] for key, value in _bank(document.bank, document.reference)]
        if document.due > 0
        else [],
        "notes": [*_reasons(document, words), *map(words.own, document.notes)],
        "footer": " · ".join(_footer(document.seller, words)),
        "annex": [_series(series, words, accent) for series in document.usage if series.days],
    }


def _party(party: Party, words: Words) -> dict[str, Any]:
    details = [
        f"{words.labels[key]} {words.own(value)}"
        for key, value in (("tax_id", party.tax_id), ("registration", party.registration))
        if value
    ]
    return {
        "name": words.own(party.name),
        "lines": [
            *([words.own(party.contact)] if party.contact else []),
            *map(words.own, _address(party.address, words)),
        ],
        "details": [*details, *(words.own(each) for each in (party.email, party.phone) if each)],
    }


def _address(address: Address, words: Words) -> Iterator[str]:
    yield from address.lines
    if address.country in ("US", "CA", "AU", "GB", "IE"):
        town = ", ".join(each for each in (address.city, address.region) if each)
        yield f"{town} {address.postcode}".strip()
    else:
        yield f"{address.postcode} {address.city}".strip()
        if address.region:
            yield address.region
    yield words.country(address.country)


def _facts(document: InvoiceDocument, words: Words) -> Iterator[tuple[str, str]]:
    yield "number", words.own(document.number)
    yield "issued", words.day(document.issued_on)
    if document.due_on is not None:
        yield "due", words.day(document.due_on)
    if document.first_day is not None and document.last_day is not None:
        yield "period", words.days(document.first_day, document.last_day)
    for key in ("corrects", "purchase_order", "contract"):
        if value := getattr(document, key):
            yield key, words.own(value)


def _groups(document: InvoiceDocument, words: Words) -> Iterator[dict[str, Any]]:
    """Lines under their headings, each heading once, in the order they first come up."""
    together: dict[tuple[str | None, str], list[DocumentLine]] = {}
    for line in document.lines:
        together.setdefault((line.section, line.group), []).append(line)
    for (section, group), lines in together.items():
        heading = words.labels[group]
        yield {
            "heading": heading if section is None else f"{heading} · {words.own(section)}",
            "sum": words.money(sum((line.amount for line in lines), ZERO), document.currency),
            "lines": [_line(line, document, words) for line in lines],
        }


def _line(line: DocumentLine, document: InvoiceDocument, words: Words) -> dict[str, Any]:
    currency = document.currency
    quantity = words.number(line.quantity) if line.quantity is not None else ""
    period = ""
    if line.first_day is not None and line.last_day is not None:
        whole = (line.first_day, line.last_day) == (document.first_day, document.last_day)
        period = "" if whole else words.days(line.first_day, line.last_day)
    return {
        "description": words.own(line.description),
        "period": period,
        "quantity": quantity,
        "unit": words.own(line.unit) if quantity and line.unit else "",
        "unit_price": words.price(line.unit_price, currency) if line.unit_price is not None else "",
        "tax": " + ".join(words.percent(rate.share) for rate in line.rates),
        "amount": words.money(line.amount, currency),
    }


def _sums(document: InvoiceDocument, words: Words) -> Iterator[list[str]]:
    label = words.labels

    def row(text: str, amount: Decimal) -> list[str]:
        return [text, words.money(amount, document.currency)]

    if document.allowances:
        yield row(label["subtotal"], document.subtotal)
        yield row(label["prepaid"], -sum((each.amount for each in document.allowances), ZERO))
    yield row(label["net"], document.net)
    for total in document.taxes:
        yield row(_rate(total.rate, words), total.amount)
    yield row(label["total"], document.total)
    if document.paid:
        yield row(label["paid"], -document.paid)


def _rate(rate: TaxRate, words: Words) -> str:
    return f"{words.own(rate.name)} {words.percent(rate.share)}"


def _payment(document: InvoiceDocument, words: Words) -> str:
    if document.kind == "credit_note":
        return f"{words.labels['corrects']} {words.own(document.corrects)}" if document.corrects else ""
    if document.due <= 0 or document.due_on is None:
        return words.labels["settled"]
    amount = words.money(document.due, document.currency)
    return words.labels["pay_by"].format(amount=amount, date=words.day(document.due_on))


def _bank(bank: BankAccount | None, reference: str | None) -> Iterator[tuple[str, str]]:
    if bank is None:
        return
    yield "account_holder", bank.holder
    for key in ("iban", "account", "bic", "bank"):
        if value := getattr(bank, key):
            yield key, _in_fours(value) if key == "iban" else value
    if reference:
        yield "reference", _in_fours(reference)


def _in_fours(code: str) -> str:
    """Letters and digits in groups of four, as codes are copied by people."""
    kept = code.replace(" ", "")
    return " ".join(kept[at : at + 4] for at in range(0, len(kept), 4))


def _reasons(document: InvoiceDocument, words: Words) -> Iterable[str]:
    """Why a rate charges nothing: the words of the law, and the reason given."""
    found: dict[str, None] = {}
    for total in document.taxes:
        rate = total.rate
        if rate.category in words.labels:
            text = words.labels[rate.category]
            own = rate.reason if rate.category == "exempt" else None
            found[f"{text} {own}" if own else text] = None
        elif rate.reason:
            found[rate.reason] = None
    return found


def _footer(seller: Party, words: Words) -> Iterator[str]:
    yield words.own(seller.name)
    for key, value in (("tax_id", seller.tax_id), ("registration", seller.registration)):
        if value:
            yield f"{words.labels[key]} {words.own(value)}"
    if seller.website:
        yield words.own(seller.website)


def _series(series: UsageSeries, words: Words, accent: str) -> dict[str, Any]:
    values = [value for _, value in series.days]
    highest = max(values)
    unit = f" {words.own(series.unit)}" if series.unit else ""
    average = (sum(values, ZERO) / len(values)).quantize(Decimal("0.01"))
    peak = series.days[values.index(highest)][0]
    facts = [[words.labels["sum"], words.number(sum(values, ZERO)) + unit]] if series.adds_up else []
    told = words.month if series.monthly else words.short_day
    per = "_month" if series.monthly else ""
    facts.append([words.labels[f"highest{per}"], f"{words.number(highest)}{unit} ({told(peak)})"])
    facts.append([words.labels[f"average{per}"], words.number(average) + unit])
    return {
        "name": words.own(series.name),
        "unit": words.own(series.unit or ""),
        "alt": " · ".join(f"{name}: {value}" for name, value in facts),
        "chart": draw_usage(series, words, accent),
        "days": [told(day) for day, _ in series.days],
        "values": [words.number(value) for value in values],
        "facts": facts,
    }
