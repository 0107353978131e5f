"""Settings of how a user source maps the names of users."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from tokenserver.config.fields import Section
from tokenserver.config.sources.ldap_fields import AttributeName
from tokenserver.documents.document import PlacedError
from tokenserver.identity import NamespaceRule


class HtpasswdNames(Section):
    """How the namespace of a user of a file, which `${user}` in policies stands for, is derived from the name."""

    namespace: Literal["lower", "slug"]


class LdapNames(Section):
    """How a user of a directory gets a namespace. There is no `slug`: a directory cannot be searched for all names that
    have one slug, so users who share a namespace could not be told apart."""

    namespace: Literal["lower", "attribute"]
    attribute: AttributeName | None = None

    @model_validator(mode="after")
    def _attribute_is_named(self) -> Self:
        if self.namespace == "attribute" and self.attribute is None:
            raise PlacedError(("attribute",), "is missing: the attribute of a user that holds the namespace")
        if self.namespace != "attribute" and self.attribute is not None:
            raise PlacedError(("attribute",), "has no effect; fix: namespace: attribute")
        return self


def rule_of(names: HtpasswdNames | LdapNames | None) -> NamespaceRule | None:
    """The rule of a source; None: it maps no names."""
    return None if names is None else NamespaceRule(names.namespace)
