"""From a final invoice or credit note to the document that is printed."""

from dataclasses import replace
from decimal import Decimal

from valorem.core.billing.parties import BillingDetails, BillingSettings, PostalAddress, Seller
from valorem.core.billing.sealing import SealedInvoice, read_sealed
from valorem.core.calendar import local_date
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import exact
from valorem.documents.building import Letterhead, credit_note_document, invoice_document
from valorem.documents.document import Address, BankAccount, InvoiceDocument, Logo, Party
from valorem.engine.annex import annex_of, units_of
from valorem.engine.credit_notes import get_credit_note
from valorem.engine.engine import Transaction
from valorem.engine.invoices import find_invoice
from valorem.engine.settings import get_billing_settings
from valorem.store.postgres import invoices, lives


def printed_invoice(tx: Transaction, invoice: str) -> tuple[InvoiceDocument, str]:
    """A final invoice as it is printed, and the locale of its buyer.

    What it says is what was sealed; only the bank, the logo and the notes are those of today.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: While it is a draft, or where the seller's name and address are not known.
    """
    header = find_invoice(tx, invoice)
    document = invoices.load_document(tx.connection, tx.workspace.id, header.id)
    if document is None:
        raise UnprocessableError("a draft is not printed", field="invoice", hint="wait until it is final")
    sealed = read_sealed(document.document)
    life = lives.load_many(tx.connection, tx.workspace.id, [header.id])[header.id]
    later = life.from_balance - sealed.settlement.balance_used
    printed = _document(tx, sealed, document.number, get_billing_settings(tx), life.paid + later)
    printed = replace(printed, usage=annex_of(tx, sealed.invoice, sealed.zone))
    return printed, sealed.buyer.locale or "en"


def printed_note(tx: Transaction, note: str) -> tuple[InvoiceDocument, str]:
    """A credit note as it is printed, and the locale of its buyer.

    Raises:
        NotFoundError: If there is no such note.
        UnprocessableError: Where the seller's name and address are not known.
    """
    stored = get_credit_note(tx, note)
    document = invoices.load_document(tx.connection, tx.workspace.id, stored.row.invoice)
    assert document is not None  # a note is only written on what is final
    sealed = read_sealed(document.document)
    of = _document(tx, sealed, document.number, get_billing_settings(tx), Decimal(0))
    printed = credit_note_document(
        stored.note,
        of,
        number=stored.row.number,
        issued_on=local_date(stored.row.issued_at, sealed.zone),
        descriptions={str(number): line.description for number, line in enumerate(sealed.invoice.lines, 1)},
    )
    return printed, sealed.buyer.locale or "en"


@exact
def _document(
    tx: Transaction, sealed: SealedInvoice, number: str, settings: BillingSettings, payments: Decimal
) -> InvoiceDocument:
    seller = sealed.seller or settings.seller
    if seller is None or seller.address is None:
        raise UnprocessableError(
            "nobody has said who sells", field="seller.address", hint="set it: PUT /v1/settings/billing"
        )
    bank = settings.bank
    return invoice_document(
        sealed.invoice,
        sealed.settlement,
        number=number,
        issued_on=sealed.issued_on,
        due_on=sealed.due_on,
        buyer=_buyer(sealed.buyer_name, sealed.buyer, seller.address),
        letterhead=Letterhead(
            seller=_seller(seller, seller.address),
            bank=BankAccount(**bank.model_dump()) if bank is not None else None,
            logo=Logo(settings.logo.content, settings.logo.format) if settings.logo is not None else None,
            notes=settings.notes,
        ),
        zone=sealed.zone,
        units=units_of(tx, sealed.invoice),
        payments=payments,
        replaces=sealed.replaces,
    )


def _seller(seller: Seller, address: PostalAddress) -> Party:
    return Party(
        name=seller.name,
        address=_address(address),
        tax_id=seller.tax_id,
        registration=seller.registration,
        email=seller.email,
        phone=seller.phone,
        contact=seller.contact,
        website=seller.website,
    )


def _buyer(name: str, buyer: BillingDetails, nearby: PostalAddress) -> Party:
    address = _address(buyer.address) if buyer.address is not None else Address((), "", "", nearby.country)
    return Party(
        name=name,
        address=address,
        tax_id=buyer.tax_id,
        registration=buyer.registration,
        email=buyer.email,
        phone=buyer.phone,
        contact=buyer.contact,
    )


def _address(address: PostalAddress) -> Address:
    return Address(address.lines, address.postcode, address.city, address.country, address.region)
