"""The list of what is in an image, in CycloneDX: Python and its packages with their hashes, and Debian's packages.

Everything is read from the image's layers, so that the list says what is there and not what was meant to be there. The
same image has the same list.
"""

from __future__ import annotations

import email
import json
import re
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.artifacts import blob, image_digest

_WANTED = re.compile(
    r"opt/tokenserver/(?:pyvenv\.cfg|lib/python3[^/]*/site-packages/[^/]+\.dist-info/(?:METADATA|direct_url\.json))"
    r"|var/lib/dpkg/status\.d/[^/]+|(?:usr/lib|etc)/os-release"
)
_EXTRAS = ("", "binary", "mariadb", "postgresql", "redis")
"""Those with which the packages of the image are required."""


@dataclass
class Contents:
    """What an image says about itself, as texts."""

    digest: str
    architecture: str = ""
    python: str = ""
    distribution: str = ""
    debian: list[str] = field(default_factory=list)
    """Paragraphs of dpkg's status."""
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    """Folder of an installed package -> the name of a file in it -> its text."""


def write_sbom(layout: Path, target: Path, seconds: int) -> None:
    """The list for the image in an OCI layout; `seconds` is the time that it names."""
    bom = list_components(read_image(layout), datetime.fromtimestamp(seconds, UTC))
    target.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", "utf-8")


def read_image(layout: Path) -> Contents:
    """Collect the texts from the layers of the one image in an OCI layout."""
    found = Contents(image_digest(layout))
    manifest = json.loads(blob(layout, found.digest).read_text("utf-8"))
    found.architecture = json.loads(blob(layout, manifest["config"]["digest"]).read_text("utf-8"))["architecture"]
    for layer in manifest["layers"]:
        for name, text in _texts(blob(layout, layer["digest"])):
            if name.startswith("var/lib/dpkg"):
                found.debian.append(text)
            elif name.endswith("pyvenv.cfg"):
                found.python = dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))["version"]
            elif name.endswith("os-release"):
                facts = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
                found.distribution = f"{facts.get('ID', '')}-{facts.get('VERSION_ID', '')}"
            else:
                folder, _, file = name.rpartition("/")
                found.packages.setdefault(folder, {})[file] = text
    return found


def _texts(layer: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(layer, "r:*") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and _WANTED.fullmatch(name) and (opened := archive.extractfile(member)) is not None:
                yield name, opened.read().decode("utf-8", "replace")


def list_components(contents: Contents, moment: datetime) -> Bom:
    """The components, and which Python package needs which."""
    image = Component(
        name="tokenserver",
        type=ComponentType.CONTAINER,
        version=contents.digest,
        purl=PackageURL("oci", None, "tokenserver", contents.digest, {"arch": contents.architecture}),
        bom_ref="image",
    )
    python = Component(
        name="python",
        type=ComponentType.PLATFORM,
        version=contents.python,
        purl=PackageURL("generic", None, "python", contents.python),
        licenses=_licences("PSF-2.0"),
        bom_ref="python",
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, contents.digest))
    bom.metadata.timestamp = moment
    bom.metadata.component = image
    needs: dict[str, tuple[Component, list[str]]] = {}
    for texts in contents.packages.values():
        component, required = _python_package(texts)
        needs[canonicalize_name(component.name)] = (component, required)
        bom.components.add(component)
    debian = [_debian_package(text, contents.distribution) for text in contents.debian]
    bom.components.update([python, *debian])
    bom.register_dependency(image, [python, *debian, *(component for component, _ in needs.values())])
    bom.register_dependency(python, debian)
    environment = {name: str(value) for name, value in default_environment().items()}
    environment |= {"python_version": ".".join(contents.python.split(".")[:2]), "python_full_version": contents.python}
    for component, required in needs.values():
        names = {canonicalize_name(name) for text in required for name in _required(text, environment)}
        bom.register_dependency(component, [needs[name][0] for name in sorted(names & needs.keys())])
    return bom


def _python_package(texts: Mapping[str, str]) -> tuple[Component, list[str]]:
    """A component, and what its metadata says that it requires."""
    metadata = email.message_from_string(texts["METADATA"])
    name, version = str(metadata["Name"]), str(metadata["Version"])
    origin = json.loads(texts.get("direct_url.json", "{}"))
    hashes = origin.get("archive_info", {}).get("hashes", {})
    purl = PackageURL("pypi", None, canonicalize_name(name), version)
    component = Component(
        name=name,
        version=version,
        purl=purl,
        bom_ref=str(purl),
        licenses=_licences(_licence_text(metadata)),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashes["sha256"])] if "sha256" in hashes else [],
    )
    return component, [str(text) for text in metadata.get_all("Requires-Dist", [])]


_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "MIT License": "MIT",
}
"""For packages whose metadata is older than expressions. What `BSD License` means is not said."""


def _licence_text(metadata: Message) -> str:
    """The expression, else what the classifiers mean, else the text where it is a line and not a whole licence."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    text = str(metadata["License"] or "")
    return _from_classifiers(metadata.get_all("Classifier", [])) or ("" if "\n" in text else text)


def _from_classifiers(classifiers: list[str]) -> str:
    names = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: OSI Approved :: ")]
    return " AND ".join(_CLASSIFIERS[name] for name in names) if {*names} <= _CLASSIFIERS.keys() else ""


def _licences(text: str) -> list[License]:
    """An identifier or expression of SPDX; any other text is the name of a licence."""
    return [LicenseFactory().make_from_string(text)] if text else []


def _required(text: str, environment: Mapping[str, str]) -> Iterator[str]:
    wanted = Requirement(text)
    if wanted.marker is None or any(wanted.marker.evaluate({**environment, "extra": one}) for one in _EXTRAS):
        yield wanted.name


def _debian_package(stanza: str, distribution: str) -> Component:
    facts = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE))
    qualifiers = {"arch": facts["Architecture"], "distro": distribution}
    purl = PackageURL("deb", "debian", facts["Package"], facts["Version"], qualifiers)
    return Component(name=facts["Package"], version=facts["Version"], purl=purl, bom_ref=str(purl))
