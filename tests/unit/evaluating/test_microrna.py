"""Names of microRNAs in all their spellings."""

import pytest

from models.suites.microrna import Likeness, MicroRna, likeness, names_in

ONE = {
    "miR-21": [
        "miR-21",
        "miR21",
        "mir 21",
        "MIR21",
        "Mir-21",
        "microRNA-21",
        "MicroRNA 21",
        "miRNA-21",
        "mIRNA-21",
        "micro-RNA-21",
        "microRNA21",
        "miR‑21",
        "miR–21",
        "miR_21",
        "antagomiR-21",
        "oncomiR-21",
        "anti-miR-21",
        "pre-miR-21",
        "pri-mir-21",
        "miR-21s",
        "microRNA (miR)-21",
        "miR-021",
        "of miR-21,",
        "(miR-21)",
        "miR-21-mediated",
        "miR-21/PTEN",
    ],
    "hsa-miR-21-5p": ["hsa-miR-21-5p", "HSA-MIR-21-5P", "hsa-mir-21-5p", "has-miR-21-5p"],
    "miR-21-3p": ["miR-21-3p", "miR-21 3p", "miRNA-21-3p"],
    "miR-21*": ["miR-21*", "microRNA-21*"],
    "hsa-miR-15a": ["hsa-miR-15a", "hsamiR15a"],
    "mmu-miR-183": ["mmu-mir-183", "mmu-miR-183"],
    "miR-146a": ["miR-146a", "MIR146A", "pre-miR-146a/G", "miR-146a/rs2910164", "mirna-146A"],
    "miR-16-1": ["miR-16-1", "MIR16-1", "microRNA-16-1"],
    "miR-125b-1": ["MIR125B1", "miR-125b-1"],
    "hsa-miR-196a-2*": ["hsa-miR-196a2*-TP63"],
    "miR-509-3-5p": ["miR-509-3-5p"],
    "miR-548aa": ["miR-548aa"],
    "miR-548s": ["miR-548s"],
    "let-7": ["Let-7", "let-7", "let7", "let-7 family"],
    "let-7a": ["let-7a", "Let7a", "LET-7A", "miR-let-7a", "miRNA let-7a"],
    "let-7a-1": ["MIRLET7A1", "let-7a-1"],
    "hsa-let-7b-3p": ["hsa-let-7b-3p"],
    "lin-4": ["lin-4"],
    "ebv-miR-bart3": ["ebv-miR-BART3"],
    "miR-k12-1": ["miR-K12-1"],
}
MANY = [
    ("miR-17~92 cluster", ["miR-17", "miR-92"]),
    ("miR-17-92", ["miR-17", "miR-92"]),
    ("miR-17/92", ["miR-17", "miR-92"]),
    ("miR-106b-25", ["miR-106b", "miR-25"]),
    ("miR-23a~27a~24-2", ["miR-23a", "miR-27a", "miR-24-2"]),
    ("miR-200a/b/c", ["miR-200a", "miR-200b", "miR-200c"]),
    ("MIR200A/B/C", ["miR-200a", "miR-200b", "miR-200c"]),
    ("let-7a/b/c", ["let-7a", "let-7b", "let-7c"]),
    ("miR-34a, b and c", ["miR-34a", "miR-34b", "miR-34c"]),
    ("miR-15a and -16-1", ["miR-15a", "miR-16-1"]),
    ("miR-15a/-16-1", ["miR-15a", "miR-16-1"]),
    ("miR-200a, -200b and -200c", ["miR-200a", "miR-200b", "miR-200c"]),
    ("miR-143/145", ["miR-143", "miR-145"]),
    ("miR-221 and -222", ["miR-221", "miR-222"]),
    ("miRs 21, 155 and 205", ["miR-21", "miR-155", "miR-205"]),
    ("micro-RNAs 21, 155, and 205", ["miR-21", "miR-155", "miR-205"]),
    ("miR-21, 23a, 31 and 100", ["miR-21", "miR-23a", "miR-31", "miR-100"]),
    ("miR-450b, 301a, and 223", ["miR-450b", "miR-301a", "miR-223"]),
    ("MIR302/373/374", ["miR-302", "miR-373", "miR-374"]),
    ("miR-103a-3p/5p", ["miR-103a-3p", "miR-103a-5p"]),
    ("miR-9/9*", ["miR-9", "miR-9*"]),
    ("miR-21 and miR-155", ["miR-21", "miR-155"]),
    ("let-7b, miR-495 and let-7b", ["let-7b", "miR-495"]),
    ("hsa-miR-17 and -20a", ["hsa-miR-17", "hsa-miR-20a"]),
]
NONE = ["MIR17HG", "miR-5p", "lin-41", "let 7 days pass", "the mirror 21", "admir-21", "miR-0"]
NONE += ["miRNAs 5 days after", "in miRNA 2 of them", "miRNA 3-fold", "miR-205BP/S3", "mRNA-21"]
NONE += ["miR-22356618", "rs2910164", "21", "miRNA", "miR-", "PTEN", "", "miRNAs 12 patients"]
SPELT = [(text, name) for name, texts in ONE.items() for text in texts]


def full_name(one: MicroRna) -> str:
    """With all that was said: `hsa-miR-23b-3p`."""
    arm = one.arm if one.arm in ("", "*") else f"-{one.arm}"
    copy = f"-{one.copy}" if one.copy else ""
    return (f"{one.species}-" if one.species else "") + one.name + copy + arm


@pytest.mark.parametrize(("text", "name"), SPELT)
def test_a_name_is_recognised_however_it_is_spelt(text: str, name: str) -> None:
    """And nothing besides it."""
    assert [full_name(one) for one in names_in(text)] == [name]


@pytest.mark.parametrize(("text", "names"), MANY)
def test_lists_and_clusters_name_all_their_members(text: str, names: list[str]) -> None:
    """Each in full, in their order, once."""
    assert [full_name(one) for one in names_in(text)] == names


@pytest.mark.parametrize("text", NONE)
def test_what_only_looks_like_a_name_is_none(text: str) -> None:
    """Host genes, arms, numbers of days and patients."""
    assert names_in(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("miR-21, 22 patients", ["miR-21"]),
        ("miR-34a and a control", ["miR-34a"]),
        ("miR-146a/G and 12 others", ["miR-146a"]),
        ("miR-21, 23a and 50 patients", ["miR-21", "miR-23a"]),
    ],
)
def test_a_list_ends_where_something_else_begins(text: str, names: list[str]) -> None:
    """An article is no member, nor is a number of patients."""
    assert [full_name(one) for one in names_in(text)] == names


@pytest.mark.parametrize(
    ("one", "other", "like"),
    [
        ("miR-21", "hsa-miR-21", Likeness.SAME),
        ("hsa-miR-21", "mmu-miR-21", Likeness.SAME),
        ("miR-21", "miR-21-5p", Likeness.SAME),
        ("miR-16", "miR-16-1", Likeness.SAME),
        ("miR-21-3p", "miR-21-5p", Likeness.MEMBER),
        ("miR-16-2", "miR-16-1", Likeness.MEMBER),
        ("miR-23b", "miR-23", Likeness.FAMILY),
        ("let-7", "let-7a", Likeness.FAMILY),
        ("miR-200a", "miR-200b", Likeness.NONE),
        ("miR-21", "miR-210", Likeness.NONE),
        ("let-7a", "miR-7a", Likeness.NONE),
    ],
)
def test_names_match_generously_in_both_directions(one: str, other: str, like: Likeness) -> None:
    """Species never count, arm and copy only against another; a family matches its members."""
    (first,), (second,) = names_in(one), names_in(other)
    assert likeness(first, second) == likeness(second, first) == like


def test_a_name_is_written_with_and_without_what_was_said_besides() -> None:
    """The short form is what papers write."""
    found = MicroRna("mir-23", letter="b", arm="3p", species="hsa")
    assert (found.name, full_name(found)) == ("miR-23b", "hsa-miR-23b-3p")


@pytest.mark.timeout(20)
def test_no_text_takes_for_ever() -> None:
    """What patterns like least, by the ten thousand."""
    for piece in ("miR-1,", "miR-", "mi", "1/", "miR-1/a/", "let-", "hsa-", "miRs 1, 2, "):
        names_in(piece * 10_000)
