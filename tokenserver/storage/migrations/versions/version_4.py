"""Version 4: the chains of audit events that servers have written, and how far each is sealed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the table of chains."""
    op.create_table(
        "audit_chains",
        Column("chain", String(8), primary_key=True),
        Column("server", Text, nullable=False),
        Column("began", BigInteger, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("sealed", BigInteger, nullable=False),
        Column("closed", Integer, nullable=False),
        Column("stated", BigInteger, nullable=False),
        Column("pepper", Integer, nullable=False),
        Column("seal", LargeBinary(32), nullable=False),
    )
    op.create_index("audit_chains_server", "audit_chains", ["server", "sealed"])
    op.create_index("audit_chains_sealed", "audit_chains", ["sealed"])
