"""The electronic invoice: EN 16931 in the syntax UN/CEFACT CII, on its own and inside the PDF as Factur-X.

Needs the extra ``einvoice``. The XML is written and checked against its schema by the library that keeps both up to date.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any

from valorem.core.billing.tax_rates import TaxCategory, TaxRate
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.documents.document import Allowance, DocumentLine, InvoiceDocument, Party

#: UNTDID 5305, as EN 16931 uses it.
_CATEGORIES: Mapping[TaxCategory, str] = {
    "standard": "S",
    "zero": "Z",
    "exempt": "E",
    "reverse_charge": "AE",
    "export": "G",
    "out_of_scope": "O",
}
_REASONS: Mapping[TaxCategory, str] = {
    "exempt": "Exempt from tax",
    "reverse_charge": "Reverse charge",
    "export": "Export outside the EU",
    "out_of_scope": "Not subject to VAT",
}
_KINDS = {"invoice": "380", "credit_note": "381"}
_CREDIT_TRANSFER, _SEPA_TRANSFER, _UNDEFINED = "30", "58", "1"
_ONE_UNIT = "C62"
#: UN/ECE Recommendation 20 codes of units that meters are commonly counted in.
_UNITS = {
    "GB": "E34",
    "MB": "4L",
    "TB": "E35",
    "h": "HUR",
    "hour": "HUR",
    "min": "MIN",
    "day": "DAY",
    "kWh": "KWH",
}
_STAMPED = re.compile(rb"(<xmp:(?:CreateDate|ModifyDate)>)[^<]*(</)")
_PRICE_DECIMALS = _QUANTITY_DECIMALS = 4
_LARGEST_BASE = 10**9


def einvoice_xml(document: InvoiceDocument) -> bytes:
    """The invoice as EN 16931 CII, valid against the schema of Factur-X at the level EN 16931.

    Raises:
        UnprocessableError: For what the standard cannot say: no VAT, several taxes on one line, amounts with three decimals.
    """
    from facturx.generate_xml import generate_cii_xml  # noqa: PLC0415 - an extra, asked for only where it is used

    written = generate_cii_xml(_fields(document), level="en16931", check_xsd=True, check_schematron=False)
    assert isinstance(written, bytes)
    return written


def facturx_pdf(pdf: bytes, document: InvoiceDocument, locale: str) -> bytes:
    """The PDF with the XML inside, as Factur-X (ZUGFeRD) 1 at the level EN 16931; the same bytes for the same document.

    Args:
        pdf: What :func:`valorem.documents.pdf.render_pdf` gave for the document.
        document: The document.
        locale: The language of the PDF.
    """
    from facturx import generate_from_binary  # noqa: PLC0415 - as above

    title = f"{document.seller.name}: {document.number}"
    combined = generate_from_binary(
        pdf,
        einvoice_xml(document),
        flavor="factur-x",
        level="en16931",
        check_xsd=False,
        check_schematron=False,
        pdf_metadata={
            "author": document.seller.name,
            "keywords": "Factur-X",
            "title": title,
            "subject": title,
        },
        lang=locale.replace("_", "-"),
        afrelationship="alternative",
        xmp_compression=False,
    )
    assert isinstance(combined, bytes)
    return _without_clock(combined, document)


@exact
def _fields(document: InvoiceDocument) -> dict[str, Any]:
    """The business terms of the standard, by their numbers."""
    if document.seller.tax_id is None:
        raise UnprocessableError("the seller has no VAT number", field="seller.tax_id")
    fields: dict[str, Any] = {
        "BT-1": document.number,
        "BT-2": document.issued_on,
        "BT-3": _KINDS[document.kind],
        "BT-5": document.currency,
        "BT-72": document.last_day or document.issued_on,
        "BG-4": _party(document.seller),
        "BG-7": _party(document.buyer),
        "BG-25": [_line(number, line, document) for number, line in enumerate(document.lines, 1)],
        "BG-20": [_allowance(each, document) for each in document.allowances],
        "BG-23": [
            {
                "BT-116": _amount(total.base, document),
                "BT-117": _amount(total.amount, document),
                "BT-118": _CATEGORIES[total.rate.category],
                "BT-119": _percent(total.rate),
                **_exemption(total.rate),
            }
            for total in document.taxes
        ],
        "BT-106": _amount(document.subtotal, document),
        "BT-107": _amount(sum((each.amount for each in document.allowances), ZERO), document),
        "BT-108": _amount(ZERO, document),
        "BT-109": _amount(document.net, document),
        "BT-110": _amount(document.tax, document),
        "BT-112": _amount(document.total, document),
        "BT-113": _amount(document.paid, document),
        "BT-115": _amount(document.due, document),
        "BT-81": _UNDEFINED,
    }
    if document.bank is not None:
        account = document.bank.iban or document.bank.account
        fields["BT-81"] = _SEPA_TRANSFER if document.bank.iban else _CREDIT_TRANSFER
        fields["BT-84"] = account.replace(" ", "") if account else None
        fields["BT-85"] = document.bank.holder
        fields["BT-86"] = document.bank.bic
    optional = {
        "BT-9": document.due_on,
        "BT-12": document.contract,
        "BT-13": document.purchase_order,
        "BT-73": document.first_day,
        "BT-74": document.last_day,
        "BT-83": document.reference,
    }
    fields.update({term: value for term, value in optional.items() if value is not None})
    if document.corrects is not None:
        fields["BG-3"] = [{"BT-25": document.corrects}]
    fields["BG-1"] = [{"BT-22": note} for note in document.notes]
    return {term: value for term, value in fields.items() if value not in (None, [])}


def _party(party: Party) -> dict[str, Any]:
    address = party.address
    lines = dict(zip(("addr_l1", "addr_l2", "addr_l3"), address.lines, strict=False))
    contact = {"name": party.contact, "phone": party.phone, "email": party.email}
    fields: dict[str, Any] = {
        "name": party.name,
        "legal_identifier": party.registration,
        "vat_identifier": party.tax_id,
        "country_code": address.country,
        "city": address.city,
        "postcode": address.postcode,
        "country_subdivision": address.region,
        "einvoicing_addr": party.email,
        "einvoicing_addr_schemeid": "EM" if party.email else None,
        "contacts": [{key: value for key, value in contact.items() if value}]
        if any(contact.values())
        else None,
        **lines,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _line(number: int, line: DocumentLine, document: InvoiceDocument) -> dict[str, Any]:
    rate = _only_rate(line.rates, f"lines.{number}")
    quantity, price, base = _priced(line)
    fields: dict[str, Any] = {
        "BT-126": str(number),
        "BT-129": plain(quantity),
        "BT-130": _UNITS.get(line.unit or "", _ONE_UNIT),
        "BT-131": _amount(line.amount, document),
        "BT-134": line.first_day,
        "BT-135": line.last_day,
        "BT-146": plain(price),
        "BT-149": plain(base) if base != ONE else None,
        "BT-151": _CATEGORIES[rate.category],
        "BT-152": _percent(rate),
        "BT-153": line.description,
        "BT-154": _counted(line) if quantity != line.quantity else None,
    }
    return {term: value for term, value in fields.items() if value is not None}


def _priced(line: DocumentLine) -> tuple[Decimal, Decimal, Decimal]:
    """Quantity, price and the quantity the price is for, none with more than four decimals.

    A price of 0.0000025 is said as 2.5 for 1,000,000. Where the amount is no product of such numbers the line is one piece
    at its amount, and the description tells the quantity. Prices are never negative; quantities may be.
    """
    quantity, price, base = line.quantity, line.unit_price, ONE
    if (
        quantity is not None
        and price is not None
        and price >= 0
        and _decimals(quantity) <= _QUANTITY_DECIMALS
    ):
        while _decimals(price * base) > _PRICE_DECIMALS and base < _LARGEST_BASE:
            base *= 10
        if _decimals(price * base) <= _PRICE_DECIMALS and _agrees(quantity * price, line.amount):
            return quantity, price * base, base
    return (ONE if line.amount >= 0 else -ONE), abs(line.amount), ONE


def _agrees(product: Decimal, amount: Decimal) -> bool:
    """Whether an amount is a product, rounded to the minor unit."""
    return abs(product - amount) < Decimal("0.01")


def _counted(line: DocumentLine) -> str | None:
    if line.quantity is None:
        return None
    return f"{plain(line.quantity)} {line.unit or ''}".strip()


def _decimals(number: Decimal) -> int:
    return max(0, -int(number.normalize().as_tuple().exponent))


def _allowance(allowance: Allowance, document: InvoiceDocument) -> dict[str, Any]:
    rate = _only_rate(allowance.rates, "allowances")
    return {
        "amount": _amount(allowance.amount, document),
        "reason": "Prepaid credit",
        "vat_category_code": _CATEGORIES[rate.category],
        "vat_rate": _percent(rate),
    }


def _only_rate(rates: Sequence[TaxRate], field: str) -> TaxRate:
    if len(rates) != 1:
        raise UnprocessableError(
            f"{len(rates)} taxes on a line, where an electronic invoice has one",
            field=field,
            hint="give every product one VAT rate, zero where none is charged",
        )
    return rates[0]


def _exemption(rate: TaxRate) -> dict[str, str]:
    reason = rate.reason or _REASONS.get(rate.category)
    return {"BT-120": reason} if reason and rate.category in _REASONS else {}


def _percent(rate: TaxRate) -> str:
    return plain(rate.share * 100)


def _amount(amount: Decimal, document: InvoiceDocument) -> str:
    if _decimals(amount) > 2:
        raise UnprocessableError(
            f"{plain(amount)} {document.currency} has more decimals than an electronic invoice may",
            field="currency",
        )
    return format(amount.quantize(Decimal("0.01")), "f")


def _without_clock(pdf: bytes, document: InvoiceDocument) -> bytes:
    """The library stamps the present moment; the document's own day takes its place, so that bytes can be compared."""
    from pypdf import PdfWriter  # noqa: PLC0415 - comes with the extra
    from pypdf.generic import NameObject, TextStringObject  # noqa: PLC0415

    issued = datetime.combine(document.issued_on, time(), UTC)
    stamp = TextStringObject(issued.strftime("D:%Y%m%d%H%M%S+00'00'"))
    writer = PdfWriter(clone_from=BytesIO(pdf))
    writer.add_metadata({"/CreationDate": stamp, "/ModDate": stamp})
    root: Any = writer.root_object
    for attached in root["/Names"]["/EmbeddedFiles"]["/Names"][1::2]:
        parameters = attached.get_object()["/EF"]["/F"]["/Params"]
        parameters[NameObject("/ModDate")] = stamp
    metadata = root["/Metadata"].get_object()
    written = _STAMPED.sub(rb"\g<1>" + issued.isoformat().encode() + rb"\g<2>", metadata.get_data())
    metadata.set_data(written)
    output = BytesIO()
    writer.write(output)
    return output.getvalue()
