"""seen and told: webhooks, spending, budgets, and what dashboards read.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FAILED = sa.text("state = 'failed'")
RUNG = sa.text("state = 'open' AND published_at IS NOT NULL")
TO_RELAY = sa.text("relayed_at IS NULL")


def upgrade() -> None:
    _create()
    op.add_column(
        "jobs", sa.Column("calls_refused", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("jobs", sa.Column("budget_nano", sa.BigInteger(), nullable=True))
    op.add_column(
        "jobs", sa.Column("progress_told", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("jobs", sa.Column("progress_told_at", sa.Float(precision=53), nullable=True))
    for name in ("spool_bytes", "backlog"):
        number = sa.BigInteger() if name == "spool_bytes" else sa.Integer()
        column = sa.Column(name, number, nullable=False, server_default="0")
        op.add_column("workers_seen", column)
    op.create_index(
        "rows_failed",
        "rows",
        ["job_id", "failure_code", "seq"],
        sqlite_where=FAILED,
        postgresql_where=FAILED,
    )
    op.create_index(
        "shards_rung",
        "shards",
        ["state", "published_at"],
        sqlite_where=RUNG,
        postgresql_where=RUNG,
    )
    listed = ["created_at", "id", "state", "kind", "name", "input_name"]
    op.create_index("jobs_listed", "jobs", listed)
    op.create_index("jobs_in_state", "jobs", ["state", "created_at", "id"])
    _name_the_subjects()
    _add_up_what_was_spent()


def _name_the_subjects() -> None:
    """Events are about jobs or endpoints now; what was there before endpoints is not sent."""
    op.drop_index("events_by_job", "events")
    op.alter_column("events", "job_id", new_column_name="subject_id")
    op.create_index("events_by_subject", "events", ["subject_id", "seq"], unique=True)
    op.create_index(
        "events_to_relay", "events", ["id"], sqlite_where=TO_RELAY, postgresql_where=TO_RELAY
    )
    op.execute("UPDATE events SET relayed_at = created_at WHERE relayed_at IS NULL")


def _add_up_what_was_spent() -> None:
    day = "CAST(FLOOR(created_at / 86400) AS INTEGER)"
    if op.get_bind().dialect.name == "sqlite":
        day = "CAST(created_at / 86400 AS INTEGER)"
    op.execute(_ADD_UP.replace("DAY", day))


_ADD_UP = """
INSERT INTO spending (job_id, model, day, calls, calls_unpriced, prompt_tokens, completion_tokens,
                      cached_tokens, cost_nano)
SELECT job_id, model, DAY, COUNT(*), SUM(CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END),
       SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), COALESCE(SUM(cost_nano), 0)
FROM calls GROUP BY job_id, model, DAY
"""


def _create() -> None:
    op.create_table(
        "spending",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("calls_unpriced", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "model", "day"),
    )
    op.create_index("spending_by_day", "spending", ["day"])
    op.create_table(
        "budget_holds",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "owner"),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_until", sa.Float(precision=53), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("failing_since", sa.Float(precision=53), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("last_at", sa.Float(precision=53), nullable=True),
        sa.Column("last_success_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_endpoints_job_id", "endpoints", ["job_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(precision=53), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_ms", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("settled_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("endpoint_id", "message_id"),
    )
    op.create_index("deliveries_by_state", "deliveries", ["state", "endpoint_id", "next_at"])
    op.create_index("deliveries_by_subject", "deliveries", ["subject_id"])
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["endpoint_id", "next_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "no"),
    )
    op.create_table(
        "limiter_seen",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("requests_per_minute", sa.Float(), nullable=True),
        sa.Column("tokens_per_minute", sa.Float(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), nullable=True),
        sa.Column("calls_per_s", sa.Float(), nullable=False),
        sa.Column("hold_until", sa.Float(precision=53), nullable=True),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("redis_away", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("worker", "model"),
    )
    op.create_table(
        "pulses",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("ms_100", sa.Integer(), nullable=False),
        sa.Column("ms_200", sa.Integer(), nullable=False),
        sa.Column("ms_300", sa.Integer(), nullable=False),
        sa.Column("ms_500", sa.Integer(), nullable=False),
        sa.Column("ms_750", sa.Integer(), nullable=False),
        sa.Column("ms_1000", sa.Integer(), nullable=False),
        sa.Column("ms_1500", sa.Integer(), nullable=False),
        sa.Column("ms_2000", sa.Integer(), nullable=False),
        sa.Column("ms_3000", sa.Integer(), nullable=False),
        sa.Column("ms_5000", sa.Integer(), nullable=False),
        sa.Column("ms_10000", sa.Integer(), nullable=False),
        sa.Column("ms_30000", sa.Integer(), nullable=False),
        sa.Column("ms_more", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "at"),
    )
