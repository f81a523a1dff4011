"""remote work: operations, the calls that wait for batches, training, and the registry of models.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("state IN ('sending', 'running', 'fetching')")


def upgrade() -> None:
    op.create_table(
        "batch_requests",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("shard_no", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("op_id", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "shard_no", "key"),
    )
    op.create_index("batch_requests_by_key", "batch_requests", ["key"], unique=False)
    op.create_index("batch_requests_by_op", "batch_requests", ["op_id"], unique=False)
    op.create_index(
        "batch_requests_by_shard", "batch_requests", ["job_id", "shard_no", "state"], unique=False
    )
    op.create_index("batch_requests_by_state", "batch_requests", ["job_id", "state"], unique=False)
    op.create_table(
        "remote_operations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("shard_no", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=True),
        sa.Column("remote_status", sa.String(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("requests_total", sa.Integer(), nullable=False),
        sa.Column("requests_done", sa.Integer(), nullable=False),
        sa.Column("requests_failed", sa.Integer(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("reckoned_nano", sa.BigInteger(), nullable=False),
        sa.Column("spent_nano", sa.BigInteger(), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("check_failures", sa.Integer(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("next_check_at", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("starting_at", sa.Float(precision=53), nullable=True),
        sa.Column("submitted_at", sa.Float(precision=53), nullable=True),
        sa.Column("settled_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("remote_operations_by_job", "remote_operations", ["job_id"], unique=False)
    op.create_index(
        "remote_operations_due",
        "remote_operations",
        ["next_check_at"],
        unique=False,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "training_points",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Float(), nullable=True),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("valid_loss", sa.Float(), nullable=True),
        sa.Column("valid_accuracy", sa.Float(), nullable=True),
        sa.Column("learning_rate", sa.Float(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "step"),
    )
    op.create_table(
        "tuned_models",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("trainer", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("dataset_name", sa.String(), nullable=False),
        sa.Column("dataset_hash", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_tuned_models_job_id", "tuned_models", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_tuned_models_job_id", table_name="tuned_models")
    op.drop_table("tuned_models")
    op.drop_table("training_points")
    op.drop_index(
        "remote_operations_due",
        table_name="remote_operations",
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.drop_index("remote_operations_by_job", table_name="remote_operations")
    op.drop_table("remote_operations")
    op.drop_index("batch_requests_by_shard", table_name="batch_requests")
    op.drop_index("batch_requests_by_state", table_name="batch_requests")
    op.drop_index("batch_requests_by_op", table_name="batch_requests")
    op.drop_index("batch_requests_by_key", table_name="batch_requests")
    op.drop_table("batch_requests")
