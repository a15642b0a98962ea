"""One-use links by which a customer reads and signs exactly one version of a definition, without an account or a key.

A page needs two verbs: :func:`look` for what is to be signed, and :func:`sign_by_link` to sign it. Whoever holds the link
speaks for the customer for this one text, so it is given to the person who may sign.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import part_in
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.outcome_deals import Signer, sign_definition, version_of
from valorem.store.postgres import signing_links
from valorem.store.postgres.signing_links import SigningLink

LASTS = timedelta(days=14)
_LONGEST = timedelta(days=90)
_TOKEN = re.compile(r"vl_sign\.(\d{1,10})\.(ctr_\w{1,60})\.[\w-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that was made.

    Attributes:
        token: What the link carries; it is shown this once.
        version: What it signs.
        expires_at: From when it is worthless.
    """

    token: str
    version: DefinitionVersion
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ToSign:
    """What the holder of a link may sign.

    Attributes:
        contract: The contract.
        customer: The customer it speaks for.
        version: The text, with its digest and the signatures it has.
        expires_at: From when the link is worthless.
    """

    contract: str
    customer: str
    version: DefinitionVersion
    expires_at: datetime


def workspace_of(token: str) -> int:
    """The workspace a token is for, to open the transaction in which it is looked up.

    Raises:
        NotFoundError: For what is no token of a link.
    """
    return _parts(token)[0]


def invite(
    tx: Transaction,
    contract: str,
    outcome: str,
    *,
    made_by: str,
    number: int | None = None,
    lasts: timedelta = LASTS,
) -> Invitation:
    """Make a link for the customer to sign a version; one made earlier for it stops working.

    Args:
        tx: The transaction.
        contract: The contract.
        outcome: The definition.
        made_by: The key that was used.
        number: Which version; the newest where left out.
        lasts: How long it works, at most 90 days.

    Raises:
        NotFoundError: If there is no such version.
        UnprocessableError: If the customer has signed it.
        InvalidInputError: If it would last too long.
    """
    if not timedelta(0) < lasts <= _LONGEST:
        raise InvalidInputError("a link lasts up to 90 days", field="lasts_days")
    get_contract(tx, contract, lock=True)
    version = version_of(tx, contract, outcome, number)
    if "customer" not in version.missing():
        raise UnprocessableError(
            f"the customer has signed version {version.number}",
            field="number",
            hint="propose an amendment to change it",
        )
    token = f"vl_sign.{tx.workspace.id}.{contract}.{secrets.token_urlsafe(32)}"
    link = SigningLink(_digest(token), contract, outcome, version.number, tx.now + lasts)
    signing_links.insert(tx.connection, tx.workspace.id, link, made_by=made_by, now=tx.now)
    return Invitation(token, version, link.expires_at)


def look(tx: Transaction, token: str) -> ToSign:
    """What a link is for. Looking does not use it.

    Raises:
        NotFoundError: The same for a link that was used, is over or never was.
    """
    link = _find(tx, token)
    customer = get_contract(tx, link.contract).contract.customer
    version = version_of(tx, link.contract, link.outcome, link.number)
    return ToSign(link.contract, customer, version, link.expires_at)


def sign_by_link(tx: Transaction, token: str, *, digest: str, person: str, role: str) -> DefinitionVersion:
    """Sign as the customer, and use the link up.

    Args:
        tx: The transaction.
        token: Of the link.
        digest: Of the text that was read; it must be the version's.
        person: Who signs, by name.
        role: As what.

    Raises:
        NotFoundError: The same for a link that was used, is over or never was.
        UnprocessableError: If the digest is of another text, or the customer has signed meanwhile.
    """
    link = _find(tx, token)
    signer = Signer("customer", person, role, "portal", f"link:{link.digest.hex()[:16]}")
    signed = sign_definition(
        tx, link.contract, link.outcome, number=link.number, digest=digest, signer=signer
    )
    if not signing_links.use(tx.connection, tx.workspace.id, link, tx.now):
        raise _worthless()
    return signed


def _find(tx: Transaction, token: str) -> SigningLink:
    workspace, contract = _parts(token)
    link = None
    if workspace == tx.workspace.id:
        link = signing_links.find(tx.connection, workspace, contract, _digest(token), tx.now)
    if link is None:
        raise _worthless()
    return link


def _parts(token: str) -> tuple[int, str]:
    found = _TOKEN.fullmatch(token)
    if found is None or int(found[1]) >= 1 << 31:
        raise _worthless()
    try:
        part_in(found[2], "ctr")
    except NotFoundError:
        raise _worthless() from None
    return int(found[1]), found[2]


def _worthless() -> NotFoundError:
    return NotFoundError(
        "this link was used, is over or never was",
        field="token",
        hint="ask the vendor for a new one: valorem outcomes invite",
    )


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
