"""The statement about how a release was built: a predicate of SLSA 1.0, which cosign signs for each artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"
"""What the parameters mean: those of a workflow of GitHub Actions."""

LOCAL = "urn:tokenserver:release-on-a-developers-machine"


def provenance(
    environment: Mapping[str, str], commit: str, base: str, requirements: Mapping[str, str]
) -> dict[str, Any]:
    """From the variables of the workflow's run, the revision, the base image, and files with hashes -> their SHA-256.

    Outside of a workflow, the builder has a name that nobody should trust.
    """
    server, repository = environment.get("GITHUB_SERVER_URL", ""), environment.get("GITHUB_REPOSITORY", "")
    source = f"{server}/{repository}" if server and repository else LOCAL
    path, _, reference = environment.get("GITHUB_WORKFLOW_REF", "").partition("@")
    run = f"{source}/actions/runs/{environment.get('GITHUB_RUN_ID')}/attempts/{environment.get('GITHUB_RUN_ATTEMPT')}"
    tag, digest = base.split("@sha256:")
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "workflow": {"ref": reference, "repository": source, "path": path.removeprefix(f"{repository}/")}
            },
            "internalParameters": {"github": {"event_name": environment.get("GITHUB_EVENT_NAME", "")}},
            "resolvedDependencies": [
                {"uri": f"git+{source}@{reference}", "digest": {"gitCommit": commit}},
                {"uri": f"pkg:docker/{tag}", "digest": {"sha256": digest}},
                *(
                    {"uri": f"file:{name}", "digest": {"sha256": sha256}}
                    for name, sha256 in sorted(requirements.items())
                ),
            ],
        },
        "runDetails": {
            "builder": {"id": f"{server}/{path}@{reference}" if path else LOCAL},
            "metadata": {"invocationId": run if path else LOCAL},
        },
    }
