"""The steps of a release as commands; `python -m release --help` lists them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from release import artifacts, image, packages, registry, signing
from release.programs import ROOT, ReleaseError, commit, commit_seconds
from release.provenance import provenance
from tokenserver import __version__

HASHED = ("requirements.txt", "requirements-build.txt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; gives the exit code."""
    given = _parser().parse_args(arguments)
    try:
        given.step(given)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


def build(given: argparse.Namespace) -> None:
    """The wheel, the source distribution, the chart, the image of this processor and its SBOM."""
    if os.environ.get("GITHUB_REF_TYPE") == "tag" and os.environ.get("GITHUB_REF_NAME") != f"v{__version__}":
        raise ReleaseError(f"the tag is {os.environ.get('GITHUB_REF_NAME')}, and the version {__version__}")
    base = image.pinned(given.base) if given.base else _base()
    revision, seconds = commit(), commit_seconds()
    folder = given.folder.absolute()
    folder.mkdir(parents=True)
    packages.build_python(folder, seconds)
    packages.build_chart(folder, seconds)
    for name in HASHED:
        (folder / name).write_bytes((ROOT / name).read_bytes())
    image.build_image(folder, __version__, commit=revision, seconds=seconds, base=base, pip_conf=given.pip_conf)
    artifacts.write_sums(folder)


def merge(given: argparse.Namespace) -> None:
    """Put together what several builders made."""
    artifacts.merge(given.folder.absolute(), [source.absolute() for source in given.sources])


def publish(given: argparse.Namespace) -> None:
    """Push the images and the chart."""
    published = registry.publish(given.folder.absolute(), given.registry, __version__)
    print(f"{published.image}\n{published.chart}")


def sign(given: argparse.Namespace) -> None:
    """Sign everything."""
    hashed = {name: artifacts.sha256(ROOT / name) for name in HASHED}
    base = image.pinned(given.base) if given.base else _base()
    signing.sign(given.folder.absolute(), provenance(os.environ, commit(), base, hashed), signing.Signer(given.key))


def verify(given: argparse.Namespace) -> None:
    """Verify everything."""
    artifacts.check_sums(given.folder.absolute())
    signing.verify(given.folder.absolute(), signing.Verifier(given.key, given.identity or ""))


def pin_base(given: argparse.Namespace) -> None:
    """Write the digest of the base image into the Containerfile."""
    print(image.pin_base(given.containerfile))


def _base() -> str:
    return image.base_image(image.CONTAINERFILE.read_text("utf-8"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__.partition(";")[0])
    steps = parser.add_subparsers(required=True, metavar="STEP")

    def add(name: str, help_text: str, step: object) -> argparse.ArgumentParser:
        made = steps.add_parser(name, help=help_text, description=help_text)
        made.set_defaults(step=step)
        return made

    folder = ("folder", "the folder of the release")
    one = add("build", "build everything for this processor, from a clean checkout", build)
    one.add_argument(folder[0], type=Path, help="a new folder")
    one.add_argument("--base", help="the base image, NAME@sha256:…, in place of that in deploy/Containerfile")
    one.add_argument("--pip-conf", type=Path, help="pip's configuration while the image is built")
    one = add("merge", "put together what several builders made, and compare what two of them made", merge)
    one.add_argument(folder[0], type=Path, help="a new folder")
    one.add_argument("sources", type=Path, nargs="+", help="folders of builders")
    one = add("publish", "push the images and the chart", publish)
    one.add_argument(folder[0], type=Path, help=folder[1])
    one.add_argument("registry", help="HOST/PATH; images go to HOST/PATH/tokenserver, charts to HOST/PATH/charts")
    one = add("sign", "sign what was published, and the files", sign)
    one.add_argument(folder[0], type=Path, help=folder[1])
    one.add_argument("--base", help="as for build")
    one.add_argument("--key", type=Path, help="a private key, in place of the identity of the workflow")
    one = add("verify", "verify every signature and statement", verify)
    one.add_argument(folder[0], type=Path, help=folder[1])
    who = one.add_mutually_exclusive_group(required=True)
    who.add_argument("--key", type=Path, help="the public key")
    who.add_argument("--identity", help="the address of the workflow with @refs/tags/TAG")
    one = add("pin-base", "write the digest of the base image into deploy/Containerfile", pin_base)
    one.add_argument("--containerfile", type=Path, default=image.CONTAINERFILE, help="another file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
