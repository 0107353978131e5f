"""Version 4: the chains of audit events that servers have written, and what each server had in force."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Text

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the tables of chains and of versions."""
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
    op.create_table(
        "audit_versions",
        Column("server", Text, nullable=False),
        Column("subject", String(64), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("moment", BigInteger, nullable=False),
        Column("pepper", Integer, nullable=False),
        Column("seal", LargeBinary(32), nullable=False),
        PrimaryKeyConstraint("server", "subject"),
    )
