"""The JSON Schemas of tokenserver.yaml and of a registry's file: they accept whatever the loader accepts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from changed_documents import CHANGES, changed, places
from configuration import REFERENCE
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import BaseModel, ValidationError
from yaml_texts import documents_with

from tokenserver.config.introspection import models
from tokenserver.config.reference.descriptions import DESCRIPTIONS
from tokenserver.config.reference.json_schema import registry_schema, settings_schema
from tokenserver.config.registries import RegistrySettings
from tokenserver.config.settings import Settings
from tokenserver.documents.document import parse

SETTINGS = Draft7Validator(settings_schema())
REGISTRY = Draft7Validator(registry_schema())

# The kinds of pydantic's errors that are about the shape of a file.
SHAPE = {
    "extra_forbidden",
    "missing",
    "string_type",
    "bool_type",
    "int_type",
    "literal_error",
    "model_type",
    "tuple_type",
}


def errors_of(value: Any, model: type[BaseModel] = Settings) -> set[str]:
    """The kinds of errors that loading finds in a value; it fills in the registries of a folder first."""
    folder = value.get("registries") if model is Settings and isinstance(value, dict) else None
    if folder and isinstance(folder, str):
        value = value | {"registries": [{"service": "x"}]}
    try:
        model.model_validate(value, context={"base": Path("/")})
    except ValidationError as error:
        return {item["type"] for item in error.errors()}
    return set()


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all models of its fields."""
    inner = {one for field in model.model_fields.values() for one in models(field.annotation)}
    return {model, *(found for one in inner for found in sections(one))}


@pytest.mark.parametrize("validator", [SETTINGS, REGISTRY], ids=["config", "registry"])
def test_they_are_schemas(validator: Draft7Validator) -> None:
    """Of draft 7, by its own schema."""
    Draft7Validator.check_schema(validator.schema)


def test_every_key_is_described() -> None:
    """In the order of its section, so that none is left over either."""
    assert set(DESCRIPTIONS) == sections(Settings)
    for model, descriptions in DESCRIPTIONS.items():
        assert sorted(descriptions) == sorted(model.model_fields)
        assert all(text.endswith(".") and len(text) < 200 for text in descriptions.values())


def test_documents() -> None:
    """Every sample, and every good or bad tokenserver.yaml in the tests."""
    for document in documents_with("issuer"):
        found = [error.message for error in SETTINGS.iter_errors(document.value)]
        wrong = errors_of(document.value)
        if not wrong:
            assert (document.file, found) == (document.file, [])
        elif wrong & SHAPE:
            assert found != [], document.file


def test_there_are_enough_documents() -> None:
    """Most are good."""
    assert len([document for document in documents_with("issuer") if not errors_of(document.value)]) > 10


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("keys", "keys", id="shorthand"),
        pytest.param("keys", {"rotate_every": "30d"}, id="without-what-the-shorthand-sets"),
        pytest.param("registries", "registries.d", id="folder-of-registries"),
        pytest.param("registries", [{"service": "x", "token_lifetime": "5m"}], id="one-lifetime"),
        pytest.param("registries", [{"service": "x", "token_lifetime": 300}], id="lifetime-in-seconds"),
        pytest.param("registries", [{"service": "x", "token_lifetime": {"pull": "5m"}}], id="lifetime-of-an-action"),
        pytest.param("shadow_policies", None, id="nothing"),
    ],
)
def test_other_spellings(key: str, value: Any) -> None:
    """Both the loader and the schema take them."""
    changed = parse(REFERENCE, "c.yaml").value | {key: value}
    if key == "registries":  # none of which reports
        del changed["server"]["notifications"]
    assert (errors_of(changed), SETTINGS.is_valid(changed)) == (set(), True)


def test_one_directory_without_a_list() -> None:
    """The single URL of a directory is text."""
    value = copy.deepcopy(parse(REFERENCE, "c.yaml").value)
    value["authentication"][1]["ldap"]["url"] = "ldaps://ldap.example.com"
    assert (errors_of(value), SETTINGS.is_valid(value)) == (set(), True)


OTHER_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", "5m", 1, 60, True, 2.5, [], {}, ["x"], [[]], [1], {"x": "y"}]
)


@given(data=st.data(), change=CHANGES, other=OTHER_VALUES)
@pytest.mark.parametrize("is_registry", [False, True], ids=["config", "registry"])
def test_changed_files(is_registry: bool, data: st.DataObject, change: str, other: Any) -> None:
    """Wherever the reference is changed: no file is refused that the loader accepts, and no wrong shape is missed."""
    value = parse(REFERENCE, "c.yaml").value
    model, validator = (RegistrySettings, REGISTRY) if is_registry else (Settings, SETTINGS)
    value = value["registries"][0] if is_registry else value
    place = data.draw(st.sampled_from(places(value)[1:]))
    value = changed(value, place, change, other)
    wrong = errors_of(value, model)
    if not wrong:
        assert validator.is_valid(value)
    elif wrong & SHAPE:
        assert not validator.is_valid(value)
