"""Every message of the sources is in every catalog, whole and with its blanks; every page speaks every language."""

import re
from decimal import Decimal

import pytest

from tests.web.console import text_of
from tests.web.portal.conftest import Portal
from valorem.core.portal.settings import LANGUAGES
from valorem.web.portal.catalogs import catalogs, messages
from valorem.web.portal.words import accepted, chosen, words_of

BLANK = re.compile(r"%(?:\((\w+)\))?(.)")
PAGES = ("/", "/usage", "/credits", "/limits", "/invoices", "/plan", "/plan/calculator")


def test_every_message_is_translated_and_none_is_left_over() -> None:
    wanted = {message.id for message in messages() if message.id}
    assert len(wanted) > 400
    for language, catalog in catalogs():
        found = {message.id: message for message in catalog if message.id}
        assert found.keys() == wanted, language
        for identifier, message in found.items():
            forms = [
                str(form)
                for form in (message.string if isinstance(message.string, tuple) else (message.string,))
            ]
            if isinstance(identifier, tuple):
                assert len(forms) == catalog.num_plurals, (language, identifier)
            assert all(forms), (language, identifier)
            assert not message.fuzzy
            source = str(identifier[0] if isinstance(identifier, tuple) else identifier)
            for form in forms:
                assert _blanks(form) == _blanks(source), (language, identifier)
                assert "<" not in form, (language, identifier)


def _blanks(text: str) -> list[tuple[str, str]]:
    return sorted((found[1] or "", found[2]) for found in BLANK.finditer(text))


def test_plural_forms_follow_the_language() -> None:
    one, many = "in the last %(n)s hour", "in the last %(n)s hours"
    said = [
        words_of("pl").count("%(n)s hour from the first use", "%(n)s hours from the first use", n)
        for n in (1, 2, 5, 22, 25)
    ]
    assert [text.split()[1] for text in said] == ["godzina", "godziny", "godzin", "godziny", "godzin"]
    assert words_of("de").count(one, many, 1) != words_of("de").count(one, many, 2).replace("2", "1")
    assert words_of("en").count(one, many, 3) == "in the last 3 hours"


def test_numbers_are_written_and_read_as_people_there_write_them() -> None:
    amount = Decimal("1234567.891")
    assert words_of("de").quantity_text(amount) == "1.234.567,891"
    assert words_of("en").quantity_text(amount) == "1,234,567.891"
    for language in LANGUAGES:
        words = words_of(language)
        assert words.read_number(words.quantity_text(amount)) == amount
        assert words.read_number("99.5") in (Decimal("99.5"), Decimal(995)), language
        assert words.read_number("NaN") is None
        assert words.read_number("abc") is None
        assert plain_digits(words.money_text(Decimal("0.000125"), "USD")) == "0000125"


def plain_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def test_the_language_of_the_browser_is_found() -> None:
    assert accepted("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5") == "fr"
    assert accepted("xx, de;q=0.1") == "de"
    assert accepted("de;q=0, en") == "en"
    assert accepted("") is None
    assert chosen(None, "de_AT") == "de"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_every_language(acme: Portal, language: str) -> None:
    assert (
        acme.submit("/language", {"language": language, "back": acme.home + "/usage"}).headers["location"]
        == acme.home + "/usage"
    )
    words = words_of(language)
    for path, title in zip(
        PAGES, ("Overview", "Usage", "Credits", "Limits", "Invoices", "Plan", "Plan"), strict=True
    ):
        page = acme.page(path)
        assert f'<html lang="{words.tag}" dir="{words.direction}"' in page
        assert words.say(title) in text_of(page), (language, path)
        assert "%(" not in page
    acme.submit("/language", {"language": "en"})


def test_another_language_is_refused_and_nothing_leads_elsewhere(acme: Portal) -> None:
    assert acme.submit("/language", {"language": "xx"}).status_code == 400
    for back in ("https://evil.example", "//evil.example", "/portal/other/", acme.home + "/\\evil"):
        answer = acme.submit("/language", {"language": "en", "back": back})
        assert answer.headers["location"] == acme.home + "/"
