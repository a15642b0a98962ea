"""The printed invoice: in every language, with the same bytes, with nothing missing."""

import base64
from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest

from tests.documents.samples import BUYER, LINES, LOGO, SELLER, VAT, document, line
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.errors import InvalidInputError
from valorem.documents.document import Logo
from valorem.documents.pdf import render_pages, render_pdf
from valorem.documents.usage_chart import draw_usage, usage_spec
from valorem.documents.words import languages, words_for

pypdf = pytest.importorskip("pypdf", reason="reads the PDFs; comes with the extra `einvoice`")

D = Decimal
DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf)).pages)


def test_every_language_has_the_same_words():
    known = languages()
    assert sorted(known) == ["ar", "de", "en", "es", "fr", "he", "it", "ja", "nl", "pl", "pt", "sv"]
    fields = {
        key: sorted(name for _, name, _, _ in Formatter().parse(text) if name)
        for key, text in known["en"].items()
    }
    for language, labels in known.items():
        assert labels.keys() == fields.keys(), language
        for key, label in labels.items():
            assert label.strip(), (language, key)
            assert sorted(name for _, name, _, _ in Formatter().parse(label) if name) == fields[key], (
                language,
                key,
            )


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (
            "en",
            ["Invoice", "Amount due", "€1,944.82", "184,250,000", "€0.0000025", "Mar 3, 2026", "Page 1 of 2"],
        ),
        ("de_DE", ["Rechnung", "Zu zahlen", "1.944,82\xa0€", "184.250.000", "03.03.2026", "Seite 2 von 2"]),
        ("de_CH", ["Rechnung", "EUR 1\u2019944.82"]),
        ("fr", ["Facture", "Reste à payer", "1\u202f944,82\xa0€", "3 mars 2026"]),
        ("es", ["Factura", "1.944,82\xa0€", "3 mar 2026"]),
        ("it", ["Fattura", "1.944,82\xa0€"]),
        ("nl", ["Factuur", "€\xa01.944,82"]),
        ("pl", ["Faktura", "Do zapłaty", "1944,82\xa0€"]),
        ("pt_BR", ["Fatura", "€\xa01.944,82"]),
        ("sv", ["Faktura", "1\xa0944,82\xa0€"]),
        ("ja_JP", ["請求書", "€1,944.82", "184,250,000", "2026/03/03", "1/2ページ"]),
        ("ar", ["1,944.82", "184,250,000", "DE89370400440532013000"]),
        ("he", ["1,944.82", "184,250,000", "DE89370400440532013000"]),
    ],
)
def test_an_invoice_in_the_readers_language(locale, expected):
    words = "".join(text(render_pdf(document(), locale)).split())
    for each in expected:
        assert "".join(each.split()) in words


def test_the_same_document_gives_the_same_bytes_and_is_an_archive_pdf():
    once, again = (render_pdf(document(), "en") for _ in range(2))
    assert once == again
    assert render_pdf(document(number="INV-2026-000043"), "en") != once
    reader = pypdf.PdfReader(BytesIO(once))
    metadata = reader.root_object["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert reader.metadata.title == "Invoice INV-2026-000042"
    assert reader.root_object["/Lang"] == "en"


def test_paper_follows_the_reader():
    def width(locale: str) -> int:
        return int(pypdf.PdfReader(BytesIO(render_pdf(document(), locale))).pages[0].mediabox.width)

    assert (width("en_US"), width("en_GB")) == (612, 595)


def test_a_long_invoice_repeats_its_head_and_numbers_its_pages():
    reader = pypdf.PdfReader(BytesIO(render_pdf(document(lines=LINES * 7, usage=()), "en")))
    pages = [page.extract_text() for page in reader.pages]
    assert len(pages) >= 3
    assert all("Unit price" in page for page in pages[:3])
    assert f"Page 2 of {len(pages)}" in pages[1]


def test_a_line_says_its_days_only_where_they_are_not_the_invoices():
    own = replace(LINES[0], first_day=date(2026, 1, 20))
    words = text(render_pdf(document(lines=(own, *LINES[1:]), usage=()), "en"))
    assert words.count("Jan 20, 2026 – Jan 31, 2026") == 1
    assert words.count("Jan 1, 2026 – Jan 31, 2026") == 1


def test_why_no_tax_is_charged_is_printed_in_the_readers_language():
    free = TaxRate("vat", "VAT", D(0), "reverse_charge", "Reverse charge")
    lines = (line("fees", "Plan", 1, None, "100", "100.00", free),)
    words = text(render_pdf(document(lines=lines), "de"))
    assert "Steuerschuldnerschaft des Leistungsempfängers" in words


def test_a_paid_invoice_asks_for_nothing():
    words = text(render_pdf(document(paid=D("1944.82")), "en"))
    assert "Nothing is left to pay" in words
    assert "DE89" not in words


@pytest.mark.parametrize(
    ("currency", "amount", "printed"), [("JPY", "1200", "¥1,200"), ("KWD", "1.234", "KWD1.234")]
)
def test_amounts_have_the_decimals_of_their_currency(currency, amount, printed):
    free = TaxRate("vat", "VAT", D(0), "zero")
    made = document(lines=(line("fees", "Plan", 1, None, amount, amount, free),), currency=currency)
    assert printed in text(render_pdf(made, "en")).replace("\xa0", "")


def test_text_is_never_read_as_markup():
    hostile = '#read("/etc/passwd") *bold* $x$ <label> @ref \\ [x] // gone'
    words = text(render_pdf(document(buyer=replace(BUYER, name=hostile), usage=()), "en"))
    assert "".join(hostile.split()) in "".join(words.split())


@pytest.mark.parametrize("logo", [LOGO, Logo(PNG, "png"), None])
def test_a_logo_or_the_sellers_name(logo):
    assert render_pdf(document(logo=logo, usage=()), "en").startswith(b"%PDF")


@pytest.mark.parametrize(
    "logo",
    [
        Logo(b"<svg", "svg"),
        Logo(b"\xff", "svg"),
        Logo(b"no png", "png"),
        Logo(PNG[:40], "png"),
        Logo(PNG + bytes(600_000), "png"),
    ],
    ids=["broken svg", "no text", "no png", "cut png", "too large"],
)
def test_a_logo_that_cannot_be_drawn(logo):
    with pytest.raises(InvalidInputError) as refused:
        render_pdf(document(logo=logo), "en")
    assert refused.value.field == "logo"


def test_a_logo_reads_no_file():
    inside = Logo(
        b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
        b'<image width="9" height="9" xlink:href="file:///etc/hostname"/></svg>',
        "svg",
    )
    with pytest.raises(InvalidInputError):
        render_pdf(document(logo=inside), "en")


def test_letters_that_no_font_has_are_told():
    with pytest.raises(InvalidInputError) as refused:
        render_pdf(document(buyer=replace(BUYER, name="\U0010fffd")), "en")
    assert refused.value.field == "fonts"


def test_names_in_other_letters_stand_beside_the_readers_own():
    made = document(buyer=replace(BUYER, name="株式会社 شركة"), usage=())
    words = text(render_pdf(made, "en"))
    assert "株式会社" in words
    assert "Invoice" in words


@pytest.mark.skipif(not DEJAVU.is_dir(), reason="no DejaVu fonts on this machine")
def test_a_folder_of_fonts_gives_more_letters():
    made = document(buyer=replace(BUYER, name="ⵜⴰⵎⴰⵣⵉⵖⵜ"), usage=())
    assert "ⵜⴰⵎⴰⵣⵉⵖⵜ" in text(render_pdf(made, "en", fonts=DEJAVU))


def test_what_is_no_locale_or_colour():
    for locale in ("tlh", "", "de_", "en_US_POSIX_x_y"):
        with pytest.raises(InvalidInputError, match="there are no words for"):
            words_for(locale)
    with pytest.raises(InvalidInputError, match="is no colour"):
        render_pdf(document(), "en", accent="#12")


def test_pages_as_images():
    pages = render_pages(document(), "en", pixels_per_inch=20)
    assert len(pages) == 2
    assert all(page.startswith(b"\x89PNG") for page in pages)


def test_the_seller_may_have_little_to_say():
    bare = replace(SELLER, tax_id=None, registration=None, email=None, phone=None, contact=None, website=None)
    made = document(seller=bare, bank=None, reference=None, notes=(), usage=(), purchase_order=None)
    assert "Nordlicht" in text(render_pdf(made, "en"))
    assert VAT.name in text(render_pdf(made, "en"))


def test_the_annex_draws_what_the_pages_draw():
    """One specification: of the meter's days on paper, and of its report on a page."""
    (first, *_) = document().usage
    drawn = draw_usage(first, words_for("de"), "#1f4e79")
    assert drawn.startswith("<svg")
    assert drawn.count("#1f4e79") >= len(first.days)  # a bar for each day
    assert "Jan" in drawn
    assert "<script" not in drawn
    spec = usage_spec(
        unit="tokens", dimension="model", series=["a"], colours=["red"], start="2026-01-01", end="2026-02-01"
    )
    assert spec["encoding"]["x"]["scale"]["domain"] == ["2026-01-01", "2026-02-01"]
    months = tuple((date(2026, month, 1), D(month)) for month in range(1, 7))
    monthly = draw_usage(replace(first, monthly=True, days=months), words_for("fr"), "#1f4e79")
    assert "mars 2026" in monthly
