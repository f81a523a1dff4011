"""Labels read from answers as models really write them."""

import pytest

from models.recipes.answers import Read
from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.suites.reading import gold_label, label_in
from models.suites.schema import Classification

NEWS = Classification(labels=["news_related", "not_news_related"])
MOOD = Classification(
    labels=["positive", "negative", "neutral"],
    words={"positive": ["pos", "good"], "negative": ["neg", "bad"]},
)
SHORT = Classification(labels=["news", "not news"])
SPAM = Classification(labels=["spam", "ham"])
EVENT = Classification(labels=["event", "no event"])
YES_NO = Classification(labels=["yes", "no", "maybe"])

OF_NEWS: dict[str, list[Json]] = {
    "news_related": [
        *["news_related", "News_Related", "NEWS RELATED", "news related", "news-related"],
        *["**news_related**", "`news_related`", '"news_related"', " news_related \n"],
        *["Label: news_related", "news_related.", "The label is **news_related**."],
        *["news_related\n\nThe user asks for headlines.", "<label>news_related</label>"],
        *['{"label": "news_related"}', '```json\n{"label": "news_related"}\n```', ["news_related"]],
        *["```\nnews_related\n```", {"label": "news_related"}, {"category": "news_related"}],
        *[{"why": "headlines", "class": "news_related"}, {"label": ["news_related"]}],
        *["news_related news_related", "<think>not_news_related?</think>news_related"],
        "news_related, not not_news_related",
    ],
    "not_news_related": [
        *["not_news_related", "Not news related.", "not news-related", "not\nnews_related"],
        *["The label is not_news_related.", "It is not news_related."],
        *["Answer: not_news_related (an alarm)", {"label": "NOT_NEWS_RELATED", "why": "an alarm"}],
    ],
}
OF_MOOD: dict[str, list[Json]] = {
    "positive": ["Positive", "pos", "good", "very good!", {"mood": "positive"}],
    "negative": ["Sentiment: negative", "neg.", '{"sentiment": "bad"}', "negative, not positive"],
    "neutral": ["The sentiment is neutral.", "neither positive nor negative: neutral"],
}
OF_ANSWERS: dict[str, list[Json]] = {
    "yes": ["Yes", "Yes!", "yes, because it is so", {"answer": "yes"}],
    "no": ["No.", "No, there is no evidence.", "Antwort: no"],
    "maybe": ["maybe", "Maybe."],
}
OF_SHORT: dict[str, list[Json]] = {
    "news": ["The text is **clearly** `news`.", "No, this is news.", "It is not a joke but news."],
    "not news": ["The text is **not** news", "It is `not` `news`.", "*Not* **news**, I think."],
}
OF_SPAM: dict[str, list[Json]] = {
    "spam": ["This is **spam**.", "There is no doubt: spam", "No doubt this is spam."],
    "ham": [
        *["This is **not** spam, but ham.", "not spam: ham", "It is not spam. It is ham."],
        *["- no links\n- no offers\n\nham", "Is it spam? No, it isn\u2019t spam: ham."],
        *["Neither an offer nor spam, so ham", "It is not an ad so ham"],
    ],
}
OF_EVENTS: dict[str, list[Json]] = {
    "event": ["An event.", "This is not only an event."],
    "no event": ["No event.", "There is **no** event", "no\nevent"],
}
SAID = [
    (told, said, label)
    for told, table in (
        *((NEWS, OF_NEWS), (MOOD, OF_MOOD), (YES_NO, OF_ANSWERS)),
        *((SHORT, OF_SHORT), (SPAM, OF_SPAM), (EVENT, OF_EVENTS)),
    )
    for label, many in table.items()
    for said in many
]
INVALID: list[tuple[Classification, Json]] = [
    *((NEWS, said) for said in ["", "news", "I cannot say", "newsrelated", "not_news_relat", 3]),
    *((NEWS, said) for said in [None, True, {}, {"label": None}, "non_news_related"]),
    *((NEWS, said) for said in ["news_related or not_news_related", "isn't news_related"]),
    (NEWS, ["news_related", "not_news_related"]),
    (NEWS, {"first": "news_related", "second": "not_news_related"}),
    *((MOOD, said) for said in ["positive and negative", "not good", "never bad", "negativ"]),
    *((MOOD, said) for said in ["posh", "not really positive", "badly"]),
    *((YES_NO, said) for said in ["yes and no", "Nope", "I do not know", "nobody"]),
    (YES_NO, "no\nbecause yes is wrong"),
    *((SHORT, said) for said in ["It is no news", "not a piece of news", "not **really** news"]),
    *((SHORT, said) for said in ["This is not really a news item", "news, or not news"]),
    *((SPAM, said) for said in ["This is **not** spam", "This is no spam.", "`not` **spam**"]),
    *((SPAM, said) for said in ["It is not considered spam", 'This is not "spam".', "not (spam)"]),
    *((SPAM, said) for said in ["It is neither spam nor ham", "not spam or ham", "kein Spam"]),
    *((SPAM, said) for said in ["I don\u2019t think it is spam", "It cannot be spam"]),
    *((SPAM, said) for said in ["Is it spam? It is not spam.", "Spam? There is no spam."]),
    (EVENT, "There is no adverse event"),
]


@pytest.mark.parametrize(("told", "said", "label"), SAID, ids=repr)
def test_an_answer_that_names_one_label_says_it(
    told: Classification, said: Json, label: str
) -> None:
    """Whatever stands around it; a label that holds another one means itself."""
    assert label_in(told, said) == Read(label)


@pytest.mark.parametrize(("told", "said"), INVALID, ids=repr)
def test_an_answer_that_names_none_or_two_says_nothing(told: Classification, said: Json) -> None:
    """What is denied is not said, and what is part of a word is none."""
    assert not isinstance(label_in(told, said), Read)


def test_numbers_and_truths_are_labels_where_they_are_told_to_be() -> None:
    """JSON's own values, by their words."""
    told = Classification(labels=["0", "1"], words={"1": ["true"], "0": ["false"]})
    assert [label_in(told, said) for said in (1, {"label": 0}, True, {"label": False})] == [
        Read("1"),
        Read("0"),
        Read("1"),
        Read("0"),
    ]


def test_signs_before_numbers_count() -> None:
    """-1 and 1 are two labels."""
    told = Classification(labels=["-1", "1"])
    assert (label_in(told, "-1"), label_in(told, "1")) == (Read("-1"), Read("1"))


def test_the_rows_own_label_is_one_of_the_suites() -> None:
    """In any case and with its other words; anything else fails the row by name."""
    assert gold_label(MOOD, {"label": "Good"}) == "positive"
    with pytest.raises(RowProblem, match="none of the labels"):
        gold_label(MOOD, {"label": "not good"})
    with pytest.raises(RowProblem, match="none of the labels"):
        gold_label(MOOD, {})


def test_a_label_that_holds_another_one_means_itself() -> None:
    """And both are named where both are said."""
    told = Classification(labels=["heart failure", "acute heart failure"])
    assert label_in(told, "This is acute heart failure.") == Read("acute heart failure")
    assert label_in(told, "This is heart failure.") == Read("heart failure")
    assert not isinstance(label_in(told, "acute heart failure, or heart failure"), Read)
