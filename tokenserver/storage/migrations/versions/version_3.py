"""Version 3: the outbox, in which commands leave the audit events of what they have changed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Make the table of the outbox."""
    op.create_table(
        "outbox",
        Column("id", String(32), primary_key=True),
        Column("event", Text, nullable=False),
        Column("pepper", Integer, nullable=False),
        Column("seal", LargeBinary(32), nullable=False),
        Column("rev", BigInteger, nullable=False),
    )
    op.create_index("outbox_rev", "outbox", ["rev"])
