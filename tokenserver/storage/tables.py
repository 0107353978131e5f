"""The tables of the storage, once for all engines. `migrations/` makes them, step by step."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = 4
"""The version of the schema that this program writes."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("schema", Integer, nullable=False),
    Column("server", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="meta_one"),
)

revision = Table(
    "revision",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("rev", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="revision_one"),
)
"""One row. Every change that readers follow first adds one to `rev`, so that changes commit in the order of it."""

credentials = Table(
    "credentials",
    metadata,
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
    Index("credentials_owner", "owner", "form"),
    Index("credentials_rev", "rev"),
    Index("credentials_ends", "ends"),
)
"""The columns of `credential.CredentialRow`, in its order."""

uses = Table(
    "uses",
    metadata,
    Column("id", String(12), ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("last_from", Text, nullable=False),
    Column("first_from", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
)

people = Table(
    "people",
    metadata,
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
"""People who log in by an OpenID provider, each pinned to the provider's `sub`. The seal covers what could grant."""

flows = Table(
    "flows",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("user_code", Text, unique=True),
    Column("state", Text, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("made_by", Text),
    Column("polled", BigInteger),
    Column("pause", Integer),
    Index("flows_ends", "ends"),
    Index("flows_made_by", "kind", "made_by"),
)
"""Logins in progress. `payload` is a box that opens for its row alone; what is not in it narrows or counts at most.

`made_by` is whose limit counts the row, such as an address. `polled` is when a device asked last, and `pause` how many
seconds it has to wait between two questions.
"""

browser_sessions = Table(
    "browser_sessions",
    metadata,
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
    Index("browser_sessions_subject", "source", "subject"),
    Index("browser_sessions_ends", "ends"),
)
"""The columns of `browser_sessions.SessionRow`, in its order. `id` is the SHA-256 of the cookie."""

epochs = Table(
    "epochs",
    metadata,
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("rev", BigInteger, nullable=False),
    Column("made", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "kind", "name"),
)
"""The revisions at which all logins of somebody were ended; see `epochs`. They narrow only, so there is no seal."""

seen_jti = Table(
    "seen_jti",
    metadata,
    Column("issuer", Text, nullable=False),
    Column("jti", Text, nullable=False),
    Column("ends", BigInteger, nullable=False),
    PrimaryKeyConstraint("issuer", "jti"),
    Index("seen_jti_ends", "ends"),
)

jwks = Table(
    "jwks",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("fetched", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("event", Text, nullable=False),
    Column("pepper", Integer, nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
    Column("rev", BigInteger, nullable=False),
    Index("outbox_rev", "rev"),
)
"""The columns of `outbox.OutboxRow`, in its order: audit events of commands, until a server has written them."""

audit_chains = Table(
    "audit_chains",
    metadata,
    Column("chain", String(8), primary_key=True),
    Column("server", Text, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("sealed", BigInteger, nullable=False),
    Column("closed", Integer, nullable=False),
    Column("stated", BigInteger, nullable=False),
    Column("pepper", Integer, nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
    Index("audit_chains_server", "server", "sealed"),
    Index("audit_chains_sealed", "sealed"),
)
"""The columns of `trail.chains.ChainRow`, in its order: how far each chain of audit events is sealed."""

audit_versions = Table(
    "audit_versions",
    metadata,
    Column("server", Text, nullable=False),
    Column("subject", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("moment", BigInteger, nullable=False),
    Column("pepper", Integer, nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("server", "subject"),
)
"""The columns of `trail.versions.VersionRow`, in its order: what each server had in force last."""
