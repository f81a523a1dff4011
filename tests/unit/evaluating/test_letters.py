"""Letters read from answers as models really write them."""

import pytest

from models.recipes.answers import Read
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.letters import letter_in
from models.suites.shuffling import Option

TEXTS = ("Lymphoma", "Hepatitis B", "Liver Neoplasms", "B-cell lymphoma, diffuse")
OPTIONS = [Option(letter, letter, text) for letter, text in zip("ABCD", TEXTS, strict=True)]
LISTED = "A. Lymphoma\nB. Hepatitis B\nC. Liver Neoplasms\nD. B-cell lymphoma, diffuse"
GONE_THROUGH = "A. Lymphoma: no\nB. Hepatitis B: no\nC. Liver Neoplasms: yes"

PLAIN = {
    "B": [
        "B",
        "b",
        "B.",
        "(b)",
        "B)",
        "**B**",
        "Option B",
        "Hepatitis B",
        "`B`",
        "'B'",
        "_B_",
        "B!",
    ],
    "C": [
        "[C]",
        "“C”",
        "（C）",
        "C。",
        "Choice C",
        "Answer C",
        "Liver Neoplasms",
        "C Liver Neoplasms",
        "liver neoplasms.",
        "C. Liver Neoplasms",
        "C) Liver Neoplasms",
        "C - Liver Neoplasms",
        "C: liver neoplasms",
        "(C) Liver Neoplasms",
        "**C. Liver Neoplasms**",
        "C (Liver Neoplasms)",
    ],
    "A": ["A", "a", "A.", "A\n"],
    "D": [
        "B-cell lymphoma, diffuse",
        "D, B-cell lymphoma, diffuse",
        "D.  B-cell lymphoma, diffuse",
    ],
}
STATED = {
    "B": [
        "The answer is B",
        "The answer is B.",
        "Answer: B) hepatitis B",
        "Answer: b",
        "The answer is B, not A.",
        "Between A and B, B is correct.",
        "I choose B over A.",
        "The answer is B. Lymphoma has no reported link.",
        "It is hepatitis B.",
    ],
    "C": [
        "So the answer is C.",
        "Therefore, C.",
        "I think it is C.",
        "It's C",
        "C is correct.",
        "C is the correct answer.",
        "Option C is the most likely.",
        "A is wrong, C is right.",
        "A) is incorrect. B) is incorrect. C) is correct.",
        "The correct option is (C) Liver Neoplasms.",
        "The correct choice would be option C: Liver Neoplasms, since the rest is not.",
        "Correct answer: **C) Liver Neoplasms**",
        "**Answer:** C",
        "## Answer\nC",
        "Answer:\n\nC",
        "Answer—C",
        "Answer is: C",
        "My final answer: C",
        "The best match is C.",
        "Certainly! The answer is C",
        "Is the answer A? No. The answer is C.",
        "If it were a virus, the answer would be B. The answer is C.",
        "First I thought the answer is A. Final answer: C",
        "One could say that the answer is A.\nThe correct answer is C",
        "It is A at first sight.\n\n**Answer: C**",
        "A) Lymphoma is not associated. The correct answer is C.",
        "Step 1: A - no. Step 2: B - no. The correct answer is therefore C",
    ],
    "D": [
        "I would choose option D.",
        "The answer is B-cell lymphoma, diffuse.",
        "The answer is C.\n\nWait, actually the answer is D.",
        "Among A, B, C and D, the best option is D.",
    ],
}
IN_OTHER_LANGUAGES = {
    "B": ["Die Antwort ist B.", "Antwort B ist richtig.", "La bonne réponse est la B."],
    "C": [
        "Die richtige Antwort lautet: C",
        "Richtig ist Antwort C.",
        "Ich wähle C.",
        "Antwort: C) Liver Neoplasms",
        "Réponse : C",
        "C'est la réponse C.",
        "La respuesta correcta es la C.",
        "La risposta corretta è C.",
    ],
    "D": ["Je choisis l'option D", "Le choix correct est D"],
}
STRUCTURED: dict[str, list[Json]] = {
    "B": ['{"answer":"B"}', {"answer": "B"}, {"Final Answer": "(b)"}, r"$\boxed{B}$"],
    "C": [
        '```json\n{"answer": "C", "why": "x"}\n```',
        {"letter": "c"},
        {"answer": "Liver Neoplasms"},
        {"answer": "C. Liver Neoplasms", "confidence": 0.9},
        ["C"],
        r"The result is \boxed{\text{C}}.",
        "<answer>C</answer>",
        "<think>maybe A or B</think>C",
    ],
}
REASONED = {
    "A": [
        "A, because B is a virus",
        "A because",
        "A.\n\nBecause the others are not.",
        "A -- so far",
    ],
    "B": ["B. hepatitis B is linked to it because A is wrong.", "B (not A)", "B, not A"],
    "C": [
        "miR-21 is upregulated in the liver.\nIt is not seen in lymphoma.\n\nC",
        f"{GONE_THROUGH}\n\nAnswer: C",
        "Based on the abstracts it causes Liver Neoplasms (C).",
        "The evidence supports option C.",
        "Not lymphoma but liver neoplasms.",
        "The disease is Liver Neoplasms.",
        "It can't be lymphoma or hepatitis B, so it must be liver neoplasms.",
        "C because A is wrong",
        "C) Liver Neoplasms. Explanation: (A) is wrong.",
        "A. Lymphoma\nB. Hepatitis B\n\nC",
    ],
}
INVALID: list[Json] = [
    *["", "A or B", "A/B", "A, B", "C D", "Both A and C", "The answer is A or B.", "CD", "1"],
    *["B and C are correct.", "All of them: A, B, C and D", "none of these", "None of the above."],
    *["E", "The answer is E.", "Option 2", "C?", '["A","C"]', {"x": 1, "y": "C"}, 3, True, None],
    *["The answer is not A.", "I don't think the answer is A.", "Option A is wrong."],
    *["The answer is A. The answer is C.", "B\n\nThe correct answer is C.", "B) Lymphoma", LISTED],
    *["A microRNA is a small molecule.", "A disease of the liver.", "The answer is a disease."],
    *["Answer: A disease of the liver, C", "Vitamin D is important.", "A\nB\nC\nD", GONE_THROUGH],
    *["The patient has hepatitis C.", "Lymphoma and liver neoplasms are both linked."],
    *["Die Antwort ist A oder B.", "La réponse est A ou B", "I cannot answer this question."],
    *[
        "<think>maybe A",
        "Either A or B is correct.",
        LISTED.replace("\n", " "),
        "The answer is neither A nor B.",
        {"answer": "B", "letter": "C"},
    ],
]
TABLES: tuple[dict[str, list[Json]], ...] = (
    PLAIN,  # type: ignore[assignment] # texts are JSON values
    STATED,  # type: ignore[assignment] # as above
    IN_OTHER_LANGUAGES,  # type: ignore[assignment] # as above
    STRUCTURED,
    REASONED,  # type: ignore[assignment] # as above
)
SAID = [(said, letter) for table in TABLES for letter, many in table.items() for said in many]


@pytest.mark.parametrize(("said", "letter"), SAID, ids=repr)
def test_what_chooses_one_option_is_read(said: Json, letter: str) -> None:
    """However it is said: the letter, its text, in words, as JSON, first or last."""
    assert letter_in(OPTIONS, said) == Read(letter)


@pytest.mark.parametrize("said", INVALID, ids=repr)
def test_what_chooses_none_or_two_is_invalid(said: Json) -> None:
    """Nothing is guessed: no article is an option, no name a letter, no two options one."""
    read = letter_in(OPTIONS, said)
    assert not isinstance(read, Read), read
    assert read.code == FailureCode.INVALID_ANSWER


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("B", "B"),
        ("B. Hepati", "B"),
        ("A. Lymphoma: this is a", "A"),
        ("The answer is C, as", "C"),
        ("A. The first option", ""),
        ("Liver Neop", ""),
        ("Lymphoma is a", ""),
        ("Some cases of (C) and", ""),
        ("It is well known that\nC", ""),
    ],
)
def test_a_cut_answer_is_read_where_more_would_not_have_changed_it(said: str, letter: str) -> None:
    """First words count; what goes through the options, or came to no end, does not."""
    read = letter_in(OPTIONS, said, is_cut=True)
    assert (read.value if isinstance(read, Read) else "") == letter


def test_the_letter_is_mapped_back_to_the_rows_own() -> None:
    """Shown as C, D in the row: the answer is D, also where the model says the text."""
    shown = [Option("A", "2", "x-ray"), Option("B", "1", "MRI"), Option("C", "3", "PET")]
    assert letter_in(shown, "The answer is A") == Read("2")
    assert letter_in(shown, "PET") == Read("3")
    assert not isinstance(letter_in(shown, "2"), Read), "own letters are not what it was shown"


def test_a_letter_that_was_not_shown_is_named() -> None:
    """The detail says which."""
    read = letter_in(OPTIONS[:3], "The answer is D.")
    assert not isinstance(read, Read)
    assert "D, which was not shown" in read.detail


def test_options_that_are_letters_or_none_of_them_are_options() -> None:
    """Blood groups go by the letter shown; an option may say that it is none of the others."""
    groups = [Option("A", "A", "B"), Option("B", "B", "AB"), Option("C", "C", "A")]
    assert letter_in(groups, "B") == Read("B")
    assert letter_in(groups, "AB") == Read("B")
    nothing = [*OPTIONS[:2], Option("C", "C", "None of the above")]
    assert letter_in(nothing, "None of the above.") == Read("C")


@pytest.mark.parametrize(
    "piece",
    [
        "((((",
        "the answer is ",
        "\\boxed{",
        "<answer>",
        "```{",
        "A or ",
        "A, B, ",
        "not ",
        "\ue000",
        "Liver Neoplasms ",
        "A. x\n",
        "<think>",
        "so ",
        "the answer is the the ",
        "**",
        '{"a":',
    ],
)
@pytest.mark.timeout(20)
def test_no_answer_takes_for_ever(piece: str) -> None:
    """20,000 characters of what patterns like least end, and are no option."""
    letter_in(OPTIONS, piece * (20_000 // len(piece)))
