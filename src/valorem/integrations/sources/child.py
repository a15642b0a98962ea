"""The process that reads: a request on its input, pages as lines on its output, and an end."""

import contextlib
import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.frames import ReadPage, ReadRequest, SourceUnreachableError
from valorem.integrations.sources.exact import decode, encode
from valorem.integrations.sources.reading import Bounds, read_pages


def main() -> int:
    """Read one source; the exit code is 0 also where it could not be read, since that has been said in words."""
    asked = decode(sys.stdin.buffer.readline())
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever prints must not come between the pages
    logging.disable(logging.CRITICAL)
    request = ReadRequest(
        SourceDefinition.model_validate(asked["definition"]),
        asked["secrets"],
        asked["cursor"],
        asked["everything"],
        asked["known_files"],
        asked["most_records"],
    )
    bounds = Bounds(
        asked["loopback"],
        Path(asked["local"]) if asked["local"] else None,
        asked["attempts"],
        float(asked["pause_s"]),
    )
    try:
        for page in read_pages(request, bounds, datetime.fromisoformat(asked["now"])):
            out.write(encode(_frame(page)) + b"\n")
            out.flush()
    except SourceUnreachableError as error:
        said = {
            "message": error.message,
            "hint": error.hint,
            "retry_after_s": error.retry_after_s,
            "lasting": error.lasting,
        }
        out.write(encode({"error": said}) + b"\n")
    except BrokenPipeError:
        return 0  # nobody wants the rest
    else:
        out.write(b'{"end":true}\n')
    with contextlib.suppress(BrokenPipeError):
        out.flush()
    return 0


def _frame(page: ReadPage) -> dict[str, Any]:
    file = page.file
    return {
        "records": page.records,
        "cursor": page.cursor,
        "file": None if file is None else {"name": file.name, "digest": file.digest, "rows": file.rows},
        "done": page.done,
        "refused": page.refused,
    }


if __name__ == "__main__":
    sys.exit(main())
