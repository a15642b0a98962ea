"""Files in a folder, in S3 or on an SFTP server, found by dlt's ``filesystem``; each is taken whole or not at all."""

import csv
import io
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from dlt.common.configuration.specs import AwsCredentials, SFTPCredentials
from dlt.common.storages.fsspec_filesystem import FileItemDict, fsspec_filesystem
from dlt.extract.exceptions import ResourceExtractionError
from dlt.sources.filesystem import filesystem

from valorem.core.errors import InvalidInputError
from valorem.core.sources.channels import FileTerms
from valorem.core.sources.frames import ReadFile, ReadPage, ReadRequest, SourceUnreachableError
from valorem.core.sources.manifest import Manifest, parse_manifest
from valorem.integrations.sources.exact import as_json, decode

MOST_BYTES = 512 * 1024 * 1024
_NO_MANIFEST = "its manifest is not there yet"


def read_files(request: ReadRequest, *, local: Path | None) -> Iterator[ReadPage]:
    """Take every file that is new or another than before.

    Args:
        request: What is to be read.
        local: Below which folder of this machine files may be; None for nowhere.

    Raises:
        SourceUnreachableError: If the folder cannot be read.
    """
    terms = request.definition.poll
    assert isinstance(terms, FileTerms)  # who calls this has looked
    if terms.url.startswith("file:///"):
        _check_local(terms.url, local)
    try:
        yield from _pages(request, terms)
    except (ResourceExtractionError, OSError, ValueError, ImportError) as error:
        cause = error.__cause__ if isinstance(error, ResourceExtractionError) and error.__cause__ else error
        raise SourceUnreachableError(
            f"{terms.url} cannot be read: {type(cause).__name__}: {cause}"[:400],
            hint="check the address and the credentials in the secret",
        ) from None


def _pages(request: ReadRequest, terms: FileTerms) -> Iterator[ReadPage]:
    folder, _ = fsspec_filesystem(terms.url, _credentials(terms, request.secrets))
    found = {item["file_name"]: item for item in filesystem(terms.url, folder, "*")}
    refused: dict[str, str] = {}
    for name in sorted(name for name in found if fnmatch(name, terms.files)):
        beside = found.get(terms.manifest.replace("{name}", name))
        if beside is None:
            if name not in request.known_files:
                refused[name] = _NO_MANIFEST
            continue
        try:
            manifest = parse_manifest(decode(beside.read_bytes()))
            if request.known_files.get(name) == manifest.sha256:
                continue
            records = _whole(found[name], manifest, terms)
        except (InvalidInputError, ValueError, csv.Error) as error:
            refused[name] = str(error)[:500]
            continue
        if request.most_records is not None:
            yield ReadPage(tuple(records[: request.most_records]))
            return
        yield ReadPage(tuple(records), file=ReadFile(name, manifest.sha256, len(records)))
    yield ReadPage((), None, done=not refused or set(refused.values()) == {_NO_MANIFEST}, refused=refused)


def _whole(item: FileItemDict, manifest: Manifest, terms: FileTerms) -> list[Mapping[str, Any]]:
    """The records of a file that is what its manifest says.

    Raises:
        InvalidInputError: If it is not.
    """
    if item["size_in_bytes"] > MOST_BYTES:
        raise InvalidInputError(f"the file is larger than {MOST_BYTES // 1024 // 1024} MB", hint="split it")
    content = item.read_bytes()
    digest = sha256(content).hexdigest()
    if digest != manifest.sha256:
        raise InvalidInputError(
            f"its SHA-256 is {digest[:12]}…, the manifest says {manifest.sha256[:12]}…",
            hint="it is still being written, or was changed on the way; it is looked at again next time",
        )
    records = _records(content, terms)
    if len(records) != manifest.rows:
        raise InvalidInputError(f"it has {len(records)} rows, the manifest says {manifest.rows}")
    return records


def _records(content: bytes, terms: FileTerms) -> list[Mapping[str, Any]]:
    if terms.format == "parquet":
        from pyarrow import parquet  # noqa: PLC0415 - heavy, and hardly ever needed

        return [as_json(row) for row in parquet.read_table(io.BytesIO(content)).to_pylist()]
    text = content.decode("utf-8-sig" if terms.encoding.lower() in ("utf-8", "utf8") else terms.encoding)
    if terms.format == "jsonl":
        return [_object(line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=terms.delimiter, strict=True)
    if rows.fieldnames is None:
        raise InvalidInputError("it has no header line")
    if len(set(rows.fieldnames)) < len(rows.fieldnames):
        raise InvalidInputError("two of its columns have one name")
    records: list[Mapping[str, Any]] = []
    for row in rows:
        if None in row or None in row.values():
            raise InvalidInputError(f"line {rows.line_num} has another number of columns than the header")
        records.append({name: value for name, value in row.items() if value != ""})
    return records


def _object(line: str, number: int) -> dict[str, Any]:
    value = decode(line.encode())
    if not isinstance(value, dict):
        raise InvalidInputError(f"line {number} is no JSON object")
    return value


def _credentials(terms: FileTerms, secrets: Mapping[str, str]) -> Any:
    given: dict[str, Any] = {}
    if terms.secret is not None:
        decoded = decode(secrets[terms.secret].encode())
        if not isinstance(decoded, dict):
            raise SourceUnreachableError(
                f"the secret {terms.secret} is no JSON object", lasting=True, hint='such as {"username": "…"}'
            )
        given = {name: int(value) if isinstance(value, Decimal) else value for name, value in decoded.items()}
    if terms.url.startswith("s3://"):
        found: Any = AwsCredentials()
        found.aws_access_key_id = given.get("access_key_id")
        found.aws_secret_access_key = given.get("secret_access_key")
        found.aws_session_token = given.get("session_token")
        found.region_name = given.get("region")
        found.endpoint_url = terms.endpoint
        return found
    if terms.url.startswith("sftp://"):
        server = SFTPCredentials()
        server.sftp_port = given.get("port", urlsplit(terms.url).port or 22)
        server.sftp_username = given.get("username")
        server.sftp_password = given.get("password")
        server.sftp_key_filename = given.get("key_file")
        server.sftp_look_for_keys = False
        server.sftp_allow_agent = False
        return server
    return None


def _check_local(url: str, local: Path | None) -> None:
    place = Path(unquote(urlsplit(url).path)).resolve()
    if local is None or not place.is_relative_to(local.resolve()):
        raise SourceUnreachableError(
            f"{place} is not below the folder that sources may read on this machine",
            lasting=True,
            hint="set VALOREM_SOURCE_FILES to a folder above it",
        )
