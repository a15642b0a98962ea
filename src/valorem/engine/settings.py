"""What a workspace settles its invoices by."""

from valorem.core.billing.parties import BillingSettings
from valorem.engine.engine import Transaction
from valorem.store.postgres import settings

_SECTION = "billing"


def get_billing_settings(tx: Transaction) -> BillingSettings:
    """The settings in force."""
    read = settings.load(tx.connection, tx.workspace.id, _SECTION)
    return BillingSettings.model_validate(read)


def set_billing_settings(tx: Transaction, new: BillingSettings) -> BillingSettings:
    """Put settings in the place of those there are; invoices that are final keep what they say."""
    settings.save(tx.connection, tx.workspace.id, _SECTION, new.model_dump(mode="json"))
    return new
