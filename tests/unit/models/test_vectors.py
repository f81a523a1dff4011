"""Stores of embedded documents as files: what is written is read, and what is none is refused."""

import json
from pathlib import Path

import pytest

from models.errors import BadInputError
from models.vectors import (
    Embedded,
    describe,
    from_text,
    pack,
    read_store,
    to_text,
    unpack,
    write_store,
)


def some(count: int, size: int = 3) -> list[Embedded]:
    """Documents whose vectors are of different lengths and directions."""
    return [
        Embedded(f"r{n}", json.dumps({"text": f"é {n}"}), [float(n), *([1.0] * (size - 1))])
        for n in range(count)
    ]


def test_what_is_written_is_read_with_vectors_of_length_one(tmp_path: Path) -> None:
    """More rows than are written at a time; ids, documents and directions in order."""
    path = tmp_path / "deep" / "docs.parquet"
    told = write_store(path, some(2_300), "mistral-embed")
    store = read_store(path)
    assert (store.hash, store.model, store.dimensions) == (told, "mistral-embed", 3)
    assert store.ids[:2] + store.ids[-1:] == ["r0", "r1", "r2299"]
    assert store.doc(7) == {"text": "é 7"}
    assert store.matrix.dtype.name == "float32"
    lengths = (store.matrix**2).sum(axis=1)
    assert abs(lengths - 1).max() < 1e-5
    assert store.matrix[2].tolist() == pytest.approx([2 / 6**0.5, 1 / 6**0.5, 1 / 6**0.5])
    facts = describe(path)
    assert (facts.documents, facts.dimensions, facts.hash) == (2_300, 3, told)


def test_the_columns_are_as_promised(tmp_path: Path) -> None:
    """Other tools read it: id, doc, vector, and who embedded it."""
    from pyarrow import parquet  # noqa: PLC0415 # for this test alone

    path = tmp_path / "docs.parquet"
    told = write_store(path, some(2), "m")
    table = parquet.read_table(path)
    assert table.to_pylist()[1] == {"id": "r1", "doc": '{"text": "\\u00e9 1"}', "vector": [1, 1, 1]}
    assert str(table.schema.field("vector").type) == "list<element: float>"
    assert json.loads(parquet.ParquetFile(path).metadata.metadata[b"maestrale"])["hash"] == told


def test_the_same_content_is_the_same_hash_and_any_change_another(tmp_path: Path) -> None:
    """Whatever the file is called, and whether vectors come as numbers or packed."""
    path, rows = tmp_path / "a.parquet", some(5)
    first = write_store(path, rows, "m")
    bytes_of = path.read_bytes()
    packed = [row._replace(vector=pack(row.vector)) for row in rows]  # type: ignore[arg-type]
    assert write_store(tmp_path / "b.parquet", packed, "m") == first
    assert (tmp_path / "b.parquet").read_bytes() == bytes_of
    others = [
        write_store(path, rows, "n"),
        write_store(path, rows[::-1], "m"),
        write_store(path, [*rows[:-1], rows[-1]._replace(doc="{}")], "m"),
        write_store(path, [*rows[:-1], rows[-1]._replace(vector=[9, 9, 9])], "m"),
        write_store(path, [rows[0]._replace(id="r", doc=f"0{rows[0].doc}"), *rows[1:]], "m"),
    ]
    assert len({first, *others}) == 6


def test_a_vector_of_zeros_stays_one(tmp_path: Path) -> None:
    """And is near to nothing, instead of not being a number."""
    path = tmp_path / "docs.parquet"
    write_store(path, [Embedded("a", "{}", [0, 0]), Embedded("b", "{}", [0, 2])], "m")
    assert read_store(path).matrix.tolist() == [[0, 0], [0, 1]]


def test_vectors_of_different_lengths_are_refused_and_the_old_store_stands(tmp_path: Path) -> None:
    """A store is written whole or not at all, and leaves no unfinished file behind."""
    path = tmp_path / "docs.parquet"
    told = write_store(path, some(2), "m")
    with pytest.raises(BadInputError, match="r1 has 4 numbers where others have 3"):
        write_store(path, [some(1)[0], Embedded("r1", "{}", [1, 2, 3, 4])], "m")
    with pytest.raises(BadInputError, match="no documents"):
        write_store(path, [], "m")
    assert describe(path).hash == told
    assert [one.name for one in tmp_path.iterdir()] == ["docs.parquet"]


def test_other_files_are_no_stores(tmp_path: Path) -> None:
    """Missing, of another format, or Parquet of somebody else: each says so."""
    import pyarrow  # noqa: PLC0415 # for this test alone
    from pyarrow import parquet  # noqa: PLC0415

    foreign, text = tmp_path / "foreign.parquet", tmp_path / "text.parquet"
    parquet.write_table(pyarrow.table({"id": ["a"]}), foreign)
    text.write_text("no Parquet at all")
    for path, words in (
        (tmp_path / "none.parquet", "there is no embedded store"),
        (text, "is no embedded store"),
        (foreign, "no embedded store: make one by `maestrale embed`"),
    ):
        with pytest.raises(BadInputError, match=words):
            read_store(path)


def test_vectors_as_text_are_float32() -> None:
    """There and back again; numbers that are none in float32 are refused."""
    assert unpack(from_text(to_text([0.1, -2.5]))) == pytest.approx([0.1, -2.5])
    assert from_text(to_text(pack([1.0]))) == b"\x00\x00\x80?"
    assert len(to_text([0.123456789] * 1024)) < 5_500
    for wrong in ([1e308], [float("nan")], [float("inf")]):
        with pytest.raises(OverflowError):
            pack(wrong)
    for text in ("AAA=", "no base64!"):
        with pytest.raises(ValueError):
            from_text(text)
