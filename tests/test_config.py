"""Settings come from the environment, and an error names the variable."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from valorem.config import Settings, described
from valorem.core.errors import InvalidInputError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({"PATH": "/bin", "VALOREM_PORT": ""})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8080, None)


def test_every_variable_is_read() -> None:
    given = {
        "VALOREM_DATA": "/srv/valorem",
        "VALOREM_DATABASE_URL": "postgresql://me@db/valorem",
        "VALOREM_HOST": "0.0.0.0",
        "VALOREM_PORT": "9000",
        "VALOREM_INGEST_WRITERS": "4",
        "VALOREM_CONNECTIONS": "32",
        "VALOREM_WEBHOOKS_TO_THIS_MACHINE": "yes",
        "VALOREM_SECRET_KEYS": "a2V5",
        "VALOREM_CLICKHOUSE_URL": "clickhouse://history/valorem",
        "VALOREM_SMTP_URL": "smtp://mail:587",
        "VALOREM_MAIL_FROM": "billing@example.com",
        "VALOREM_STRIPE_API_KEY": "sk_1",
        "VALOREM_STRIPE_WEBHOOK_SECRETS": "whsec_1,whsec_2",
        "VALOREM_STRIPE_API_BASE": "http://127.0.0.1:9",
        "VALOREM_TAX_URL": "http://127.0.0.1:8/rates",
        "VALOREM_TAX_KEY": "tk_1",
        "VALOREM_OPENID_ISSUER": "https://id.example.com",
        "VALOREM_OPENID_CLIENT_ID": "valorem",
        "VALOREM_OPENID_CLIENT_SECRET": "s3cret",
        "VALOREM_SOURCE_FILES": "/srv/inbox",
        "VALOREM_LOG_LEVEL": "DEBUG",
    }
    assert Settings.from_environment(given) == Settings(
        data=Path("/srv/valorem"),
        database_url="postgresql://me@db/valorem",
        host="0.0.0.0",
        port=9000,
        ingest_writers=4,
        connections=32,
        webhooks_to_this_machine=True,
        secret_keys="a2V5",
        clickhouse_url="clickhouse://history/valorem",
        smtp_url="smtp://mail:587",
        mail_from="billing@example.com",
        stripe_api_key="sk_1",
        stripe_webhook_secrets="whsec_1,whsec_2",
        stripe_api_base="http://127.0.0.1:9",
        tax_url="http://127.0.0.1:8/rates",
        tax_key="tk_1",
        openid_issuer="https://id.example.com",
        openid_client_id="valorem",
        openid_client_secret="s3cret",
        source_files=Path("/srv/inbox"),
        log_level="debug",
    )
    assert set(given) == {variable for variable, _, _ in described()}


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("VALOREM_PORT", "http", "whole number from 0 to 65535"),
        ("VALOREM_PORT", "70000", "whole number from 0 to 65535"),
        ("VALOREM_PORT", "٨٠", "whole number"),
        ("VALOREM_INGEST_WRITERS", "0", "from 1 to 64"),
        ("VALOREM_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("VALOREM_DATABASE_URL", "mysql://secret@db", "postgresql://"),
    ],
)
def test_a_value_that_does_not_read_names_its_variable(variable: str, text: str, hint: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        Settings.from_environment({variable: text})
    assert refused.value.field == variable
    assert hint in str(refused.value)


def test_a_database_url_is_never_repeated_because_it_holds_a_password() -> None:
    with pytest.raises(InvalidInputError) as refused:
        Settings.from_environment({"VALOREM_DATABASE_URL": "mysql://me:secret@db"})
    assert "secret" not in str(refused.value)


def test_a_misspelt_variable_is_not_silently_ignored() -> None:
    with pytest.raises(InvalidInputError, match="did you mean VALOREM_INGEST_WRITERS") as refused:
        Settings.from_environment({"VALOREM_INGEST_WRITER": "2"})
    assert refused.value.field == "VALOREM_INGEST_WRITER"
    assert Settings.from_environment({"VALOREM_URL": "http://x", "VALOREM_API_KEY": "k"}) == Settings()


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]
