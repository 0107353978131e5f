"""`tests/` mirrors the rooms: a module's tests are where its name says, and a test file says what it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "tokenserver"

ELSEWHERE: dict[str, str] = {
    "authn/ldap/diagnosis/steps.py": "the steps that authn/ldap/diagnosis/test_diagnose.py goes through",
    "authn/ldap/failures/advice.py": "the columns of the table in authn/ldap/failures/test_failure.py",
    "authn/ldap/failures/causes.py": "the keys of the table in authn/ldap/failures/test_failure.py",
    "authn/ldap/failures/connection_advice.py": "rows of the table in authn/ldap/failures/test_failure.py",
    "authn/ldap/failures/login_advice.py": "rows of the table in authn/ldap/failures/test_failure.py",
    "authn/reported.py": "what authn/test_chain.py rejects of every source's answer",
    "authn/hooks/child.py": "the processes of authn/hooks/test_program_hook.py and test_login_program.py",
    "authn/hooks/line_process.py": "the processes of authn/hooks/test_program_hook.py, with one fault each",
    "authn/oidc/client.py": "the requests of every login in authn/oidc/test_login.py",
    "authn/oidc/id_token.py": "the ID tokens of authn/oidc/test_login.py, one thing wrong at a time",
    "authn/oidc/known_people.py": "the outage of the storage in authn/oidc/test_source.py",
    "authn/oidc/logout_token.py": "the logout tokens of authn/oidc/test_logout.py, one thing wrong at a time",
    "authn/oidc/ports.py": "protocols, kept by support/openid_world.py and the storage",
    "authn/oidc/presets.py": "the defaults of config/sources/test_oidc.py",
    "authn/oidc/provider.py": "the settings of every login in authn/oidc/test_login.py",
    "authn/oidc/refusals.py": "the texts of every refusal in authn/oidc/test_login.py",
    "authn/stored/ports.py": "protocols, kept by support/held_credentials.py and the storage",
    "authn/workload/trusted_issuer.py": "the settings of every row of authn/workload/test_verifier.py",
    "audit/chain/findings.py": "what audit/chain/test_verifier.py compares",
    "audit/chain/wording.py": "the messages of audit/chain/test_verifier.py",
    "audit/chain/run.py": "the runs that audit/chain/test_verifier.py cuts and joins in all ways",
    "cli/audit/seal_keys.py": "whose seals cli/audit/test_verify.py trusts",
    "cli/audit/options.py": "the options of cli/audit/test_search.py and test_who_did.py",
    "cli/policy/client/account.py": "the note about an account, which cli/policy/test_why.py runs as a command",
    "cli/policy/diff_output.py": "the output of `policy diff`, which cli/policy/test_diff.py runs as a command",
    "cli/policy/who_can_below.py": "the output for a pattern, which cli/policy/test_who_can.py runs as a command",
    "cli/policy/why_output.py": "the output of `policy why`, which cli/policy/test_why.py runs as a command",
    "cli/stored/ending.py": "what cli/access_keys/test_revoke.py and cli/logins/test_revoke.py run as commands",
    "cli/stored/secret_output.py": "what the commands of cli/access_keys/test_create.py and test_list.py print",
    "cli/users/edit.py": "the editing that every command of cli/users/test_change.py does",
    "cli/users/options.py": "the options that every command of cli/users/test_change.py takes",
    "config/sources/user_source.py": "the entries of `authentication`, which config/test_settings.py reads",
    "config/audit.py": "a section of one key, which config/test_settings.py reads",
    "config/reference/audit_descriptions.py": "texts for the schema, as those of config/reference/descriptions.py",
    "config/reference/hook_descriptions.py": "texts for the schema, as those of config/reference/descriptions.py",
    "config/reference/descriptions.py": "texts that config/reference/test_json_schema.py compares with the keys",
    "config/reference/workload_descriptions.py": "texts for the schema, as those of config/reference/descriptions.py",
    "credential_helper/token_server/reply.py": "what requests in credential_helper/token_server/test_http.py yield",
    "documents/json_schema.py": "building blocks of the two schemas, which test_json_schema.py of both rooms validate",
    "exchange/audit_chain/seal_check.py": "the seals of exchange/audit_chain/test_seals.py, one thing wrong at a time",
    "exchange/audit_chain/seal_text.py": "the texts of exchange/audit_chain/test_seals.py",
    "exchange/stored/device_events.py": "the events of every step in web/oauth/test_device.py",
    "exchange/stored/device_logins.py": "who is given what on a device, in web/oauth/test_device.py over all of it",
    "exchange/stored/device_refusals.py": "the errors that web/oauth/test_device.py meets",
    "exchange/stored/logins.py": "who is given what, in web/oauth/test_grants.py over the whole application",
    "exchange/stored/revocation.py": "what web/oauth/test_revocation.py ends over the whole application",
    "server/reload/observer.py": "the protocol that server/changes/test_reporter.py goes through",
    "server/exchanges/traced.py": "the steps and events of each exchange in e2e/test_tracing.py",
    "web/tracing.py": "the first span of each request in e2e/test_tracing.py",
    "runtime/tracing/results.py": "words that runtime/tracing/test_exporter.py counts by",
    "server/exchanges/observed.py": "the exchange of every server, such as that of web/oauth/test_grants.py",
    "importers/docker_auth/sections.py": "the keys of the file in importers/docker_auth/test_reader.py",
    "importers/golang/expression.py": "the trees of importers/golang/test_expression_parser.py",
    "importers/golang/expression_classes.py": "the classes and escapes of importers/golang/test_regexp.py",
    "importers/golang/expression_program.py": "the programs of importers/golang/test_regexp.py",
    "importers/golang/standard_base64.py": "the credentials of importers/golang/test_forms.py",
    "importers/golang/yaml_types.py": "the types of importers/golang/test_yaml_decoder.py",
    "importers/golang/yaml_scalars.py": "the scalars of importers/golang/test_yaml_decoder.py",
    "cli/importing/exports.py": "what the commands of cli/importing/test_harbor.py and test_quay.py share",
    "cli/importing/users_files.py": "the users files of cli/importing/test_htpasswd_registry.py and test_zot.py",
    "cli/importing/options.py": "the options of every command in cli/importing",
    "cli/importing/registry_section.py": "the section that cli/importing/test_htpasswd_registry.py compares",
    "importers/quay/model.py": "the values of every export in importers/quay/test_reader.py",
    "importers/quay/people.py": "users, robots and teams of every export in importers/quay/test_translate.py",
    "importers/harbor/model.py": "the values of every export in importers/harbor/test_reader.py",
    "audit/store/chunk.py": "the chunks of audit/store/test_indexer.py and test_reader.py",
    "cli/audit/past_policies.py": "the places of cli/audit/test_who_could.py",
    "cli/importing/peer_config.py": "the faults of cli/importing/test_docker_auth.py",
    "importers/docker_auth/comparison/announced.py": "what is announced of comparison/test_compare.py",
    "importers/docker_auth/comparison/choices.py": "the requests of comparison/test_requests.py",
    "importers/docker_auth/comparison/ours.py": "our side of comparison/test_compare.py",
    "importers/docker_auth/shapes/atoms.py": "the sequences of shapes/test_name_shapes.py",
    "importers/docker_auth/shapes/pattern_spelling.py": "the patterns of shapes/test_name_shapes.py",
    "importers/docker_auth/shapes/regex_sequences.py": "the expressions of shapes/test_name_shapes.py",
    "importers/docker_auth/translation/account_readings.py": "the clients of translation/test_translate.py",
    "importers/docker_auth/translation/boxes.py": "the rules of translation/test_translate.py",
    "importers/docker_auth/translation/entry_regions.py": "the entries of translation/test_translate.py",
    "importers/docker_auth/translation/first_match.py": "the order of translation/test_translate.py",
    "importers/docker_auth/translation/matching.py": "the patterns of translation/test_translate.py",
    "importers/docker_auth/translation/name_readings.py": "the names of translation/test_translate.py",
    "importers/docker_auth/translation/people.py": "the principals of translation/test_translate.py",
    "importers/docker_auth/translation/policy_files.py": "the files of translation/test_translate.py",
    "importers/docker_auth/model.py": "the values of every case in importers/docker_auth/test_reader.py",
    "management/operations/access_keys.py": "whose keys, in web/api/operations/test_access_keys.py",
    "management/actors.py": "the actors of management/test_rights.py",
    "management/context.py": "what every operation of web/api/test_blueprint.py works with",
    "management/event_facts.py": "the events in web/api/operations/test_access_keys.py",
    "management/operations/logins.py": "whose logins, in web/api/operations/test_logins.py",
    "management/refusals.py": "errors, each of them answered in web/api/test_problems.py",
    "management/robot_rules.py": "two secrets at most, in web/api/operations/test_robots.py",
    "management/operations/robot_secrets.py": "whose robots, in web/api/operations/test_robots.py",
    "management/operations/stored_secrets.py": "what is made and ended in web/api/operations/test_access_keys.py",
    "management/service.py": "the operations of web/api/test_blueprint.py",
    "management/views.py": "what web/api/test_openapi.py validates",
    "config/server.py": "the section `server`, which config/test_settings.py reads",
    "web/status/endpoints.py": "the pages of web/test_routes.py and web/test_application.py",
    "web/api/answers.py": "the schemas that web/api/test_openapi.py validates answers with",
    "web/api/bodies.py": "the bodies in web/api/operations/test_access_keys.py",
    "web/api/documents.py": "the answers in web/api/test_openapi.py",
    "web/api/faults.py": "errors, each of them answered in web/api/test_problems.py",
    "web/api/operations/table.py": "the table that web/api/test_openapi.py holds",
    "web/api/requests.py": "the bodies in web/api/operations/test_access_keys.py",
    "server/stored/examination.py": "its findings in cli/storage/test_check.py and doctor/examination/test_storage.py",
    "server/sources/password_sources.py": "each kind of source in server/test_compose.py",
    "server/sources/workload_examination.py": "the steps that cli/test_workload.py goes through, and their advice",
    "storage/people/flow_limits.py": "the limits that storage/people/test_flows.py reaches",
    "web/pages/account/german.py": "texts, whose completeness web/pages/rendering/test_reasons.py checks",
    "web/pages/terminal/german.py": "the texts that web/pages/test_german.py compares with the templates",
    "management/openid/openid_sign_in.py": "the logins and logouts of web/pages/openid/test_pages.py",
    "web/pages/openid/german.py": "texts, whose completeness web/pages/test_german.py checks",
    "web/pages/openid/site.py": "the site of every login in web/pages/openid/test_pages.py",
    "management/sign_in.py": "the logins of web/pages/test_login.py",
    "web/pages/account/secret_form.py": "the forms of web/pages/account/test_keys.py and test_robots.py",
    "web/pages/account/secret_page.py": "the secrets in web/pages/account/test_keys.py and test_robots.py",
    "web/pages/blueprints.py": "the pages that web/pages/test_shell.py asks for",
    "web/pages/cookies.py": "the cookies in web/pages/test_shell.py and test_login.py",
    "web/pages/forms.py": "the forms in web/pages/test_shell.py",
    "web/pages/rendering/assets.py": "the style sheet in web/pages/test_shell.py",
    "web/pages/visits.py": "who is led where, in web/pages/test_shell.py",
    "policy/diff/tree.py": "the trees that `diff` compares, in policy/diff/test_diff.py",
}
"""Modules without a test file of their name -> where they are tested instead, and why there."""

NO_MODULE: dict[str, str] = {
    "cli/audit/test_auditor_page.py": "the examples of docs/answer-an-auditor.md",
    "cli/audit/test_notifications_page.py": "the examples of docs/registry-notifications.md",
    "policy/test_claim_spellings.py": "claims under their short names and paths, for the server and every tool",
    "credential_helper/test_laptop_page.py": "docs/laptop.md: its settings, commands and lines",
    "cli/policy/test_administrators_page.py": "docs/administrators.md: its policy and its commands",
    "cli/people/test_single_sign_on_page.py": "docs/single-sign-on.md: its settings, commands and texts",
    "cli/policy/test_why_page.py": "docs/why-and-who.md: its examples say what the page says",
    "cli/test_ci_pages.py": "docs/github-actions.md and docs/gitlab-ci.md: settings, policies, CI files and messages",
    "cli/test_login_hooks_page.py": "docs/login-hooks.md: its program, commands, settings and verification",
    "cli/test_completion_page.py": "docs/shell-completion.md: its commands, in each shell",
    "exchange/peer/test_side_by_side_page.py": "docs/move-side-by-side.md: its settings, commands and figures",
    "cli/storage/test_storage_page.py": "the commands of docs/storage.md, one after the other",
    "cli/importing/test_docker_auth_page.py": "docs/move-from-docker-auth.md: its example and its commands",
    "cli/access_keys/test_access_keys_page.py": "docs/access-keys.md and docs/lost-laptop.md: settings and commands",
    "cli/robots/test_robots_page.py": "docs/robots.md: its policy, commands and description of keys",
    "cli/users/test_users_page.py": "the commands of docs/users.md, one after the other",
    "cli/test_check_is_start.py": "`check` and the start give the same answer, over every kind of fault",
    "cli/test_planted_files.py": "files that others may have planted, over every command that reads one",
    "cli/test_sql_users_page.py": "docs/sql-users.md: its settings, statements, commands and messages",
    "cli/test_story_page.py": "docs/from-one-team-to-fifty.md, told in its order",
    "doctor/test_doctor_page.py": "docs/doctor.md lists the checks",
    "documents/test_many_faults.py": "very many faults, over every kind of document",
    "metrics/test_metrics_page.py": "docs/metrics.md lists the metrics",
    "authn/workload/test_recorded_claims.py": "claims of real issuers, from the JWT to the declared workloads",
    "authn/workload/test_recorded_tokens.py": "tokens of a real Kubernetes, from their text to the declared workloads",
    "authn/protection/test_same_login.py": "what counts as the same login, over throttle, workers and Redis",
    "policy/test_corpus.py": "the corpus of policies with questions and their answers",
    "policy/test_engine_properties.py": "an independent oracle against the whole engine",
    "policy/test_twenty_policies.py": "docs/twenty-policies.md, each policy with its tests",
    "policy/test_samples.py": "the sample policies and the examples of the contract",
    "server/test_policy_notes.py": "a failing test of a team, from the reload to each command",
    "storage/test_faults.py": "failing statements, disks, files and processes, over every change of the store",
    "storage/following/test_sleeping_writers.py": "concurrent writers and a follower, over the database and the index",
    "storage/test_credential_life.py": "commands and two workers, over the store, the index and the authentication",
    "web/test_any_request.py": "any request at all, over the whole application",
    "web/test_explain.py": "explanations, from the parameter to the audit event",
    "web/test_login_protection.py": "throttle and cache as clients meet them",
    "web/test_many_registries.py": "several registries of one server",
    "storage/people/test_people_faults.py": "failing statements under everything in storage/people",
    "web/test_replayed_ends.py": "the audit log of a running server, and restoring a backup beside it",
    "web/test_actors_in_flight.py": "requests of the API between the verification of a login and the change",
    "web/test_forms_in_flight.py": "forms between the verification of a login and the change",
    "web/test_logins_in_flight.py": "logins between their verification and the row that they store, of every kind",
    "web/test_sessions_in_flight.py": "sessions between the verification of a JWT and the row that is stored",
    "web/test_users_not_loaded_yet.py": "logins by users whose file has changed and is not loaded yet, of every kind",
    "web/test_hostile_machines.py": "hostile keys and JWTs against a whole server",
    "web/test_robots.py": "logins of robots, from the policy file to the token",
    "web/test_token_lifetime.py": "lifetimes, from the policy to the token",
    "web/test_token_sharing.py": "reuse of tokens, over two requests",
    "web/test_two_paths.py": "both paths of the token endpoint answer alike",
}
"""Test files that no module is named for -> what they hold, over several modules."""

ROOMS = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*") if any(path.glob("*.py")))


def missing_tests(modules: set[str], tests: set[str]) -> set[str]:
    """The modules, such as `authn/chain.py`, without a test file, such as `authn/test_chain.py`."""
    return {module for module in modules if _test_of(module) not in tests}


def strangers(modules: set[str], tests: set[str]) -> set[str]:
    """The test files that no module is named for."""
    return tests - {_test_of(module) for module in modules}


def _test_of(module: str) -> str:
    room, slash, name = module.rpartition("/")
    return f"{room}{slash}test_{name}"


MODULES = {
    str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")
}
MIRRORED = {str(path.relative_to(TESTS)) for room in ROOMS for path in (TESTS / room).glob("test_*.py")}
"""The test files in folders that mirror a room."""

AT_THE_TOP = {path.name for path in TESTS.glob("test_*.py")}
"""Those of the modules at the top, and others about the project as a whole."""


@pytest.mark.parametrize(
    ("tests", "missing", "strange"),
    [
        pytest.param({"test_a.py", "x/test_b.py"}, set(), set(), id="each has its own"),
        pytest.param({"test_a.py", "test_b.py"}, {"x/b.py"}, {"test_b.py"}, id="in another room"),
        pytest.param({"test_a.py"}, {"x/b.py"}, set(), id="one is missing"),
        pytest.param({"test_a.py", "x/test_b.py", "x/test_c.py"}, set(), {"x/test_c.py"}, id="one too many"),
    ],
)
def test_the_mirror_shows_what_it_should(tests: set[str], missing: set[str], strange: set[str]) -> None:
    """A module without its test file and a test file without a module are both found."""
    modules = {"a.py", "x/b.py"}
    assert (missing_tests(modules, tests), strangers(modules, tests)) == (missing, strange)


def test_every_module_has_its_test_file() -> None:
    """Or a reason in `ELSEWHERE`; a reason that is not needed any more goes."""
    assert missing_tests(MODULES, MIRRORED | AT_THE_TOP) == set(ELSEWHERE)


def test_every_test_file_names_a_module() -> None:
    """Or it holds something over several modules, which `NO_MODULE` says."""
    assert strangers(MODULES, MIRRORED) == set(NO_MODULE)


def test_the_rooms_are_found() -> None:
    """Where nothing is read, nothing is missing."""
    assert {"authn/ldap/groups", "policy/analysis", "server/reload", "web"} <= set(ROOMS)
    assert "authn/ldap/dn.py" in MODULES
    assert "authn/ldap/test_dn.py" in MIRRORED
