"""What evaluations found, and what people judge."""

from sqlalchemy import BigInteger, Column, Float, Text
from sqlmodel import Field, SQLModel


class EvaluationReport(SQLModel, table=True):
    """The report of an evaluation job, or of a pipeline, as it was last made."""

    __tablename__ = "evaluation_reports"

    job_id: str = Field(primary_key=True)
    made_at: float = Field(sa_column=Column(Float(53), nullable=False))
    report: str = Field(sa_column=Column(Text, nullable=False))
    """The report as JSON: figures, tables, charts, examples."""
    page: str = Field(sa_column=Column(Text, nullable=False))
    """The HTML page that stands alone."""


class Review(SQLModel, table=True):
    """Pairs of answers that people judge without knowing whose they are."""

    __tablename__ = "reviews"

    id: str = Field(primary_key=True)
    """`rev_...`"""
    name: str
    job_id: str = Field(index=True)
    """The evaluation whose answers are judged; empty: they came in files."""
    question: str = Field(sa_column=Column(Text, nullable=False))
    """What reviewers are asked, in words for people."""
    first: str
    second: str
    """The two models; which of them stands left is each pair's secret."""
    seed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Of the choice of rows and of who stands left. Whoever knows it can tell the sides."""
    rows_both: int = 0
    """Rows that both models answered."""
    rows_alike: int = 0
    """Of these, where both said the same: left out, for there is nothing to judge."""
    pairs_total: int = 0
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))


class ReviewPair(SQLModel, table=True):
    """Two answers to one row, left and right."""

    __tablename__ = "review_pairs"

    review_id: str = Field(primary_key=True)
    no: int = Field(primary_key=True)
    """Place in the review, from 1."""
    row_id: str
    asked: str = Field(sa_column=Column(Text, nullable=False))
    """What both answered, as people read it."""
    left: str = Field(sa_column=Column(Text, nullable=False))
    right: str = Field(sa_column=Column(Text, nullable=False))
    left_is_first: bool
    """Whether the review's first model stands left. Never leaves the database before the result."""


class Judgement(SQLModel, table=True):
    """What one reviewer said of one pair; said again, the later word counts."""

    __tablename__ = "judgements"

    review_id: str = Field(primary_key=True)
    no: int = Field(primary_key=True)
    reviewer: str = Field(primary_key=True)
    choice: str
    """`left`, `right` or `tie`."""
    comment: str = Field(default="", sa_column=Column(Text, nullable=False))
    judged_at: float = Field(sa_column=Column(Float(53), nullable=False))
