"""Version 2: seals for people and browser sessions, limits of logins in progress, and epochs.

Nothing has written to the replaced tables before.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Replace the tables of people, of browser sessions and of logins in progress, and make that of epochs."""
    op.drop_table("people")
    op.create_table(
        "people",
        Column("source", Text, nullable=False),
        Column("sub", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("groups", Text, nullable=False),
        Column("seen", BigInteger, nullable=False),
        Column("asked", BigInteger, nullable=False),
        Column("not_before", BigInteger, nullable=False),
        Column("state", Integer, nullable=False),
        Column("upstream", LargeBinary),
        Column("claimed", BigInteger),
        Column("pepper", Integer, nullable=False),
        Column("seal", LargeBinary(32), nullable=False),
        Column("rev", BigInteger, nullable=False),
        PrimaryKeyConstraint("source", "sub"),
        UniqueConstraint("source", "subject"),
        CheckConstraint("state IN (0, 1)", name="people_state"),
    )
    op.drop_table("browser_sessions")
    op.create_table(
        "browser_sessions",
        Column("id", LargeBinary(32), primary_key=True),
        Column("source", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("proof", LargeBinary),
        Column("sub", Text),
        Column("sid", Text),
        Column("made", BigInteger, nullable=False),
        Column("made_from", Text, nullable=False),
        Column("client", Text, nullable=False),
        Column("seen", BigInteger, nullable=False),
        Column("ends", BigInteger, nullable=False),
        Column("state", Integer, nullable=False),
        Column("pepper", Integer, nullable=False),
        Column("seal", LargeBinary(32), nullable=False),
        CheckConstraint("state IN (0, 1)", name="browser_sessions_state"),
    )
    op.create_index("browser_sessions_subject", "browser_sessions", ["source", "subject"])
    op.create_index("browser_sessions_ends", "browser_sessions", ["ends"])
    op.drop_table("flows")
    op.create_table(
        "flows",
        Column("id", LargeBinary, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("user_code", Text, unique=True),
        Column("state", Text, nullable=False),
        Column("ends", BigInteger, nullable=False),
        Column("made_by", Text),
        Column("polled", BigInteger),
        Column("pause", Integer),
    )
    op.create_index("flows_ends", "flows", ["ends"])
    op.create_index("flows_made_by", "flows", ["kind", "made_by"])
    op.create_table(
        "epochs",
        Column("source", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("rev", BigInteger, nullable=False),
        Column("made", BigInteger, nullable=False),
        PrimaryKeyConstraint("source", "kind", "name"),
    )
