"""Version 1: the tables of credentials, their uses, people, logins in progress, and what issuers sent."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "meta",
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("schema", Integer, nullable=False),
        Column("server", Text, nullable=False),
        Column("created", BigInteger, nullable=False),
        CheckConstraint("one = 1", name="meta_one"),
    )
    op.create_table(
        "revision",
        Column("one", Integer, primary_key=True, autoincrement=False),
        Column("rev", BigInteger, nullable=False),
        CheckConstraint("one = 1", name="revision_one"),
    )
    op.create_table(
        "credentials",
        Column("id", String(12), primary_key=True),
        Column("form", String(1), nullable=False),
        Column("owner", Text, nullable=False),
        Column("sort", String(1), nullable=False),
        Column("source", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
        Column("pepper", Integer, nullable=False),
        Column("created", BigInteger, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("created_from", Text, nullable=False),
        Column("client", Text, nullable=False),
        Column("ends", BigInteger, nullable=False),
        Column("idle", BigInteger),
        Column("ceiling", Text),
        Column("networks", Text),
        Column("services", Text),
        Column("proof", LargeBinary),
        Column("claims", Text),
        Column("state", Integer, nullable=False),
        Column("ended", BigInteger),
        Column("ended_by", Text),
        Column("reason", Text),
        Column("replaces", String(12)),
        Column("seal", LargeBinary(32), nullable=False),
        Column("rev", BigInteger, nullable=False),
        CheckConstraint("form IN ('p', 'r', 'f', 's')", name="credentials_form"),
        CheckConstraint("state IN (0, 1)", name="credentials_state"),
    )
    op.create_index("credentials_owner", "credentials", ["owner", "form"])
    op.create_index("credentials_rev", "credentials", ["rev"])
    op.create_index("credentials_ends", "credentials", ["ends"])
    op.create_table(
        "uses",
        Column("id", String(12), ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True),
        Column("last", BigInteger, nullable=False),
        Column("last_from", Text, nullable=False),
        Column("first_from", Text, nullable=False),
        Column("times", BigInteger, nullable=False),
    )
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
        Column("rev", BigInteger, nullable=False),
        PrimaryKeyConstraint("source", "sub"),
        UniqueConstraint("source", "subject"),
    )
    op.create_table(
        "flows",
        Column("id", LargeBinary, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("user_code", Text, unique=True),
        Column("state", Text, nullable=False),
        Column("ends", BigInteger, nullable=False),
    )
    op.create_index("flows_ends", "flows", ["ends"])
    op.create_table(
        "browser_sessions",
        Column("id", LargeBinary, primary_key=True),
        Column("source", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("made", BigInteger, nullable=False),
        Column("seen", BigInteger, nullable=False),
        Column("ends", BigInteger, nullable=False),
        Column("state", Integer, nullable=False),
        Column("rev", BigInteger, nullable=False),
    )
    op.create_table(
        "seen_jti",
        Column("issuer", Text, nullable=False),
        Column("jti", Text, nullable=False),
        Column("ends", BigInteger, nullable=False),
        PrimaryKeyConstraint("issuer", "jti"),
    )
    op.create_index("seen_jti_ends", "seen_jti", ["ends"])
    op.create_table(
        "jwks",
        Column("issuer", Text, primary_key=True),
        Column("document", Text, nullable=False),
        Column("fetched", BigInteger, nullable=False),
    )
