"""A large store answers by an index as it would by comparing every document."""

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.suites.microrna import names_in
from models.suites.retrieving import Ranked
from models.vectors import Embedded, write_store
from worker.evaluating import nearest
from worker.evaluating.libraries import Library, Wanted, open_library

DOCUMENTS, DIMENSIONS, WANTED = 6_000, 48, 12
FAR = 17
"""A document that names a molecule."""
ELSEWHERE = """
import json, sys
from pathlib import Path
from worker.evaluating import nearest
from worker.evaluating.libraries import Wanted, open_library
nearest.LARGE = 1
library = open_library(Wanted(sys.argv[1], sys.argv[2], "", ""))
queries = json.loads(sys.stdin.read())
print(json.dumps([[one.place for one in library.search(query, [], 12)] for query in queries]))
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning"),  # SWIG's, from 3.12 on
    pytest.mark.skipif(
        (sys.platform, platform.machine()) == ("darwin", "x86_64"), reason="no wheel of faiss"
    ),
]


@pytest.fixture(autouse=True)
def soon_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is large earlier than it would be."""
    monkeypatch.setattr(nearest, "LARGE", DOCUMENTS)


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors in clusters that overlap."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((40, DIMENSIONS))
    noise = random.standard_normal((count, DIMENSIONS))
    return (centres[random.integers(len(centres), size=count)] + 0.7 * noise).astype(np.float32)


def shapeless(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors without any likeness: the worst that an index can meet."""
    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)


def wanted(folder: Path, vectors: NDArray[np.float32], *, entity: str = "microrna") -> Wanted:
    """A store of these vectors."""
    path = folder / "papers.parquet"
    texts = {FAR: "miR-21 in the liver"}
    rows = (
        Embedded(f"p{at}", json.dumps({"title": texts.get(at, "None")}), vector.tobytes())
        for at, vector in enumerate(vectors)
    )
    return Wanted(str(path), write_store(path, rows, "embedder"), entity, "molecules")


def kept(folder: Path) -> list[Path]:
    """Files beside the store."""
    return [path for path in folder.iterdir() if path.name != "papers.parquet"]


def exactly(library: Library, query: NDArray[np.float32], top_k: int = WANTED) -> list[Ranked]:
    """What comparing every document finds."""
    return Library(library.store, library.names).search(query.tolist(), [], top_k)


@pytest.mark.parametrize("made", [clustered, shapeless])
def test_the_index_finds_what_comparing_all_finds(
    tmp_path: Path, made: Callable[[int, int], NDArray[np.float32]]
) -> None:
    """19 in 20 of the nearest twelve or more, whatever the vectors, and their cosines are exact."""
    library = open_library(wanted(tmp_path, made(DOCUMENTS, 1)))
    assert library.neighbours
    hits = 0
    for query in made(100, 2):
        found = library.search(query.tolist(), [], WANTED)
        right = {one.place: one.score for one in exactly(library, query)}
        hits += len(right.keys() & {one.place for one in found})
        for one in found:
            vector = library.store.matrix[one.place].astype(float)
            assert one.score == pytest.approx(vector @ query / np.linalg.norm(query), abs=1e-5)
        assert [one.score for one in found] == sorted((x.score for x in found), reverse=True)
    assert hits >= 0.95 * 100 * WANTED


def test_likeness_makes_a_search_short(tmp_path: Path) -> None:
    """Where vectors have any: few of the lists are looked through, else all if need be."""
    library = open_library(wanted(tmp_path, clustered(DOCUMENTS, 1)))
    assert library.neighbours
    index = library.neighbours.index
    assert index.nprobe < index.nlist / 1.5
    (path,) = kept(tmp_path)
    assert path.stat().st_size < library.store.matrix.nbytes / 2, "the floats are held once"


def test_two_processes_build_the_same_index_and_find_the_same(tmp_path: Path) -> None:
    """Documents are part of a call's key: others would be paid for again."""
    queries = clustered(20, 2).tolist()
    told = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        one = wanted(folder, clustered(DOCUMENTS, 1), entity="")
        said = subprocess.run(  # a first run builds, a second reads
            [sys.executable, "-c", ELSEWHERE, one.path, one.hash],
            input=json.dumps(queries),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        (path,) = kept(folder)
        told.append((path.name, path.read_bytes(), json.loads(said)))
    assert told[0] == told[1]
    again = open_library(one)
    assert [[x.place for x in again.search(query, [], 12)] for query in queries] == told[0][2]


def test_an_index_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the store later reads the file, with all that it was told."""
    one = wanted(tmp_path, clustered(DOCUMENTS, 1))
    first = open_library(one).neighbours
    monkeypatch.setattr(nearest, "_built", lambda _: pytest.fail("built again"))
    second = open_library(one).neighbours
    assert first
    assert second
    assert second.index.nprobe == first.index.nprobe


def test_of_those_who_open_it_at_once_one_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for the file: two cores have better to do."""
    one = wanted(tmp_path, clustered(DOCUMENTS, 1))
    build, built = nearest._built, []
    monkeypatch.setattr(nearest, "_built", lambda of: built.append(1) or build(of))
    with ThreadPoolExecutor() as threads:
        opened = list(threads.map(open_library, [one] * 4))
    assert all(library.neighbours for library in opened)
    assert len(built) == 1


def test_another_content_has_another_index(tmp_path: Path) -> None:
    """The file of the earlier one goes; those of other stores stay."""
    other = tmp_path / "papers.parquet.old.parquet.0123456789abcdef.ivf"
    other.touch()
    open_library(wanted(tmp_path, clustered(DOCUMENTS, 1)))
    before = set(kept(tmp_path))
    open_library(wanted(tmp_path, clustered(DOCUMENTS, 3)))
    after = set(kept(tmp_path))
    assert len(before) == len(after) == 2
    assert before & after == {other}


@pytest.mark.parametrize("content", [b"", b"Iw", b"not an index"])
def test_a_damaged_file_is_built_again(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """And said so."""
    one = wanted(tmp_path, clustered(DOCUMENTS, 1))
    open_library(one)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(content)
    assert open_library(one).neighbours
    assert path.read_bytes() == whole
    assert "built again" in caplog.text


def test_where_it_cannot_be_kept_it_is_used_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that the workers may only read, say; here something lies in its place."""
    one = wanted(tmp_path, clustered(DOCUMENTS, 1))
    place = tmp_path / f"papers.parquet.{one.hash[:16]}.ivf"
    place.mkdir()
    assert open_library(one).neighbours
    assert "cannot be kept" in caplog.text
    assert kept(tmp_path) == [place], "nothing unfinished stays"


def test_documents_that_name_the_molecule_come_first_with_their_exact_cosine(
    tmp_path: Path,
) -> None:
    """However far they are: they are no question of the index."""
    vectors = clustered(DOCUMENTS, 1)
    library = open_library(wanted(tmp_path, vectors))
    query = -vectors[FAR]
    found = library.search(query.tolist(), names_in("miR-21"), 3)
    assert [one.why for one in found] == ["entity", "cosine", "cosine"]
    assert found[0].place == FAR
    assert found[0].score == pytest.approx(-1.0, abs=1e-5)
    assert [one.place for one in found[1:]] == [one.place for one in exactly(library, query, 2)]


def test_what_the_lists_do_not_hold_is_found_by_comparing_all(tmp_path: Path) -> None:
    """More documents may be wanted than the lists looked through have."""
    library = open_library(wanted(tmp_path, clustered(DOCUMENTS, 1)))
    query = clustered(1, 2)[0]
    assert library.neighbours
    library.neighbours.index.nprobe = 1
    found = library.search(query.tolist(), [], 2_000)
    assert found == exactly(library, query, 2_000)


def test_a_smaller_store_has_no_index(tmp_path: Path) -> None:
    """Nor a file for one."""
    assert open_library(wanted(tmp_path, clustered(DOCUMENTS - 1, 1))).neighbours is None
    assert kept(tmp_path) == []


def test_without_faiss_all_documents_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Slower, never wrong; the log says how to get it."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    caplog.set_level(logging.INFO)
    library = open_library(wanted(tmp_path, clustered(DOCUMENTS, 1)))
    assert library.neighbours is None
    assert "maestrale[evaluate]" in caplog.text
    query = clustered(1, 2)[0]
    assert library.search(query.tolist(), [], WANTED) == exactly(library, query)


@pytest.mark.parametrize("count", [0, 1, 4, 40, 900, 1_000, 2_000])
def test_the_first_of_equals_are_the_best(count: int) -> None:
    """Those that are left out too: the same documents everywhere."""
    scores = np.random.default_rng(0).integers(0, 5, size=1_000).astype(np.float32) / 5
    in_order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
    assert nearest.best(scores, count) == in_order[:count]
