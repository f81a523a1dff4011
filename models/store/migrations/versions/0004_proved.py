"""proved: reports of evaluations, reviews by people, stages of pipelines, embedded documents.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evaluation_reports",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("made_at", sa.Float(precision=53), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("second", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("rows_both", sa.Integer(), nullable=False),
        sa.Column("rows_alike", sa.Integer(), nullable=False),
        sa.Column("pairs_total", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reviews_job_id", "reviews", ["job_id"], unique=False)
    op.create_table(
        "review_pairs",
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.String(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("left", sa.Text(), nullable=False),
        sa.Column("right", sa.Text(), nullable=False),
        sa.Column("left_is_first", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("review_id", "no"),
    )
    op.create_table(
        "judgements",
        sa.Column("review_id", sa.String(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("review_id", "no", "reviewer"),
    )
    op.create_table(
        "stages",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("needs", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("claimed_until", sa.Float(precision=53), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "name"),
    )
    op.create_index("ix_stages_job_id", "stages", ["job_id"], unique=False)
    op.create_index("stages_by_hash", "stages", ["hash", "state"], unique=False)
    op.create_table(
        "vector_stores",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_vector_stores_job_id", "vector_stores", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_vector_stores_job_id", table_name="vector_stores")
    op.drop_table("vector_stores")
    op.drop_index("stages_by_hash", table_name="stages")
    op.drop_index("ix_stages_job_id", table_name="stages")
    op.drop_table("stages")
    op.drop_table("judgements")
    op.drop_table("review_pairs")
    op.drop_index("ix_reviews_job_id", table_name="reviews")
    op.drop_table("reviews")
    op.drop_table("evaluation_reports")
