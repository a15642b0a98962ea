"""``/v1/credit_notes``: what was taken back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.settlements import PDF, Locale
from valorem.api.standings import NoteAnswer, note_answer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Page
from valorem.engine import credit_notes
from valorem.engine.printing import printed_note

router = APIRouter(prefix="/v1/credit_notes", tags=["invoices"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Note = Annotated[str, Path(max_length=64, description="the note's id (`crn_…`) or its number")]


@router.get("")
def list_credit_notes(
    caller: Reader,
    invoice: Annotated[str | None, Query(max_length=64)] = None,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[NoteAnswer]:
    """Credit notes in the order they were issued; of one invoice or customer where given."""
    with caller.reading() as tx:
        found = credit_notes.list_credit_notes(
            tx, invoice=invoice, customer=customer, after=read_cursor(after), limit=limit + 1
        )
    items = [note_answer(note) for note in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.get("/{note}")
def get_credit_note(note: Note, caller: Reader) -> NoteAnswer:
    """One credit note."""
    with caller.reading() as tx:
        return note_answer(credit_notes.get_credit_note(tx, note))


@router.get("/{note}/pdf", response_class=Response, responses={200: {"content": {PDF: {}}}})
def print_credit_note(note: Note, caller: Reader, locale: Locale = None) -> Response:
    """A credit note as a PDF/A-3."""
    from valorem.documents.pdf import render_pdf  # noqa: PLC0415 - loads fonts, asked for only where it is used

    with caller.reading() as tx:
        document, spoken = printed_note(tx, note)
    content = render_pdf(document, (locale or spoken).replace("-", "_"))
    return Response(
        content, media_type=PDF, headers={"content-disposition": f'inline; filename="{document.number}.pdf"'}
    )
