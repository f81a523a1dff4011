"""What an unpacked input is, told by its first bytes; its name only breaks ties."""

import csv
import io
import json
from enum import StrEnum

from models.errors import RejectedFileError
from producers.readers.jsonlines import BOM
from producers.readers.unpacking import HEAD_BYTES

DELIMITERS = ",;\t|"


class Format(StrEnum):
    """The formats that are read."""

    JSON_LINES = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


_UTF_16_32 = {
    b"\xff\xfe\x00\x00": "UTF-32LE",
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"BZh": "packed with bzip2: unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ\x00": "packed with xz: unpack it, or pack it with gzip or zstd",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"\x1f\x8b": "packed twice: unpack it once",
    b"\x28\xb5\x2f\xfd": "packed twice: unpack it once",
    b"%PDF-": "a PDF: extract its text into JSON lines first",
    b"SQLite format 3\x00": "a SQLite database: export a table as CSV",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet or JSON lines",
}


def detect(head: bytes, name: str) -> Format:
    """The format of what begins with `head`. Raises `RejectedFileError` for what is not read."""
    head = head[:HEAD_BYTES]
    if not head.removeprefix(BOM).strip():
        if len(head) >= HEAD_BYTES:
            return Format.JSON_LINES
        raise RejectedFileError(f"{name} is empty: there is nothing to do")
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    _refuse_foreign(head, name)
    text = head.removeprefix(BOM).decode(errors="replace")
    if text.lstrip().startswith("[") and _is_array(text.strip()):
        raise RejectedFileError(
            f"{name} is one JSON array, not JSON lines: convert it with "
            f"jq -c '.[]' {name} > rows.jsonl"
        )
    return Format.CSV if _is_csv(text, name) else Format.JSON_LINES


def _refuse_foreign(head: bytes, name: str) -> None:
    encoding = next((word for mark, word in _UTF_16_32.items() if head.startswith(mark)), "")
    if encoding := encoding or _bare_utf_16_32(head[:4]):
        raise RejectedFileError(
            f"{name} is {encoding}, not UTF-8: convert it with iconv -f {encoding} -t UTF-8"
        )
    for magic, words in _FOREIGN.items():
        if head.startswith(magic):
            raise RejectedFileError(f"{name} is {words}")


def _bare_utf_16_32(first: bytes) -> str:
    """UTF-16/32 without a byte order mark, by where the NULs are (RFC 4627, section 3)."""
    pattern = "".join("0" if byte == 0 else "x" for byte in first)
    return {"000x": "UTF-32BE", "x000": "UTF-32LE", "0x0x": "UTF-16BE", "x0x0": "UTF-16LE"}.get(
        pattern, ""
    )


def _is_array(text: str) -> bool:
    """Whether the text is one array, rather than lines of which the first is a list."""
    first, _, rest = text.partition("\n")
    try:
        return isinstance(json.loads(first), list) and not rest.strip()
    except (ValueError, RecursionError):
        return first[1:].strip()[:1] in ("", "{")


def _is_csv(text: str, name: str) -> bool:
    start = [line.strip() for line in text.split("\n")[:5]]
    if any(line.startswith("{") for line in start) or _is_json(start[0]):
        return False
    suffixes = name.lower().split(".")[1:]
    return bool({"csv", "tsv"} & set(suffixes)) or sniff_delimiter(text) is not None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def sniff_delimiter(text: str) -> str | None:
    """The delimiter under which the first records agree most with the header; None: no header."""
    scores = {delimiter: _agreement(text, delimiter) for delimiter in DELIMITERS}
    best = max(scores, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (0.0, 0) else None


def _agreement(text: str, delimiter: str) -> tuple[float, int]:
    """(share of the first 50 records as wide as the header, that width); (0, 0) if too narrow."""
    complete = text[: text.rfind("\n") + 1] or text
    try:
        rows = csv.reader(io.StringIO(complete, newline=""), delimiter=delimiter)
        widths = [len(row) for row, _ in zip(rows, range(50), strict=False) if row]
    except csv.Error:
        return (0.0, 0)
    if not widths or widths[0] < 2:
        return (0.0, 0)
    return (widths.count(widths[0]) / len(widths), widths[0])
