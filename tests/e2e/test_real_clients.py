"""Every client against every registry: who may log in, push, pull, delete, mount and list, and who may not.

A refusal is the registry's, given a token that carries less than it wants. So each test looks at both sides: what
the client says in the end, and what the server granted.
"""

from __future__ import annotations

import pytest
from harness.clients import VERBS, Client
from harness.every_client import CLIENTS, row
from harness.machine import Machine
from harness.programs import need_root, refuse
from harness.scene import Scene
from harness.server import ANONYMOUS

CANNOT = {client.name: client.cannot for client in CLIENTS}
"""What is left out of the tables below, with the reasons."""

WATCHED = """\
for name in etc root usr var; do
  mkdir -p "$HOME/changed/$name" "$HOME/spare/$name"
  mount -t overlay overlay -o "lowerdir=/$name,upperdir=$HOME/changed/$name,workdir=$HOME/spare/$name" "/$name" ||
    exit 77
done
exec "$@"
"""
"""Runs a command on a system of which every change is a file below `changed`."""


def able(verb: str) -> pytest.MarkDecorator:
    """One row for each client that has the verb."""
    rows = [row(client) for client in CLIENTS if verb not in CANNOT[client.name]]
    return pytest.mark.parametrize("kind", rows)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", [pytest.param(client, id=client.name) for client in CLIENTS])
def test_a_client_has_a_verb_or_a_reason(kind: type[Client], verb: str) -> None:
    """What is missing in the tables is missing for a stated reason, and nothing with a reason is there."""
    has = getattr(kind, verb) is not getattr(Client, verb)
    inherited = kind.__mro__[1] is not Client and verb in kind.cannot
    assert (has and not inherited) == (verb not in kind.cannot)
    assert kind.cannot.get(verb, "a reason")


@able("login")
def test_login_with_the_right_password(kind: type[Client], scene: Scene) -> None:
    """A login asks for a token without access, once, and gets it."""
    client = scene.client(kind)
    output = client.login(scene.registry, *scene.credentials("ann"))
    assert output.ok, str(output)
    assert [(event.outcome, event.asked) for event in scene.events("ann")] == [("login", frozenset())]
    assert [(request.user, request.status) for request in scene.watch.requests()] == [("ann", 200)]
    assert scene.watch.requests()[0].claims["sub"] == "ann"


@able("login")
def test_login_with_a_wrong_password(kind: type[Client], scene: Scene) -> None:
    """A wrong password is one refused request, and the user reads why."""
    client = scene.client(kind)
    output = client.login(scene.registry, "ann", "wrong")
    assert not output.ok, str(output)
    assert [event.outcome for event in scene.events("ann")] == ["invalid_credentials"]
    requests = scene.watch.requests()
    assert [request.status for request in requests] == [401]
    message = scene.server.message(requests[0].answer)
    assert client.wrong_password.format(message=message) in output.text


@able("login")
def test_login_with_every_character_there_is(kind: type[Client], scene: Scene) -> None:
    """Blanks, colons, umlauts and the characters that forms and URLs use for themselves are part of a password."""
    output = scene.client(kind).login(scene.registry, *scene.credentials("bob"))
    assert output.ok, str(output)
    assert [event.outcome for event in scene.events("bob")] == ["login"]


@pytest.mark.parametrize("robot", ["robot$web+ci", "$oauthtoken"])
@able("login")
def test_login_by_the_name_that_harbor_or_quay_gave(kind: type[Client], robot: str, scene: Scene) -> None:
    """A robot's name with a `$` reaches the server as it is: in a header, in a form and in `account`."""
    client = scene.client(kind)
    output = client.login(scene.registry, *scene.credentials(robot))
    assert output.ok, str(output)
    assert [(event.outcome, event.fields["subject"]) for event in scene.events(robot)] == [("login", robot)]
    assert [request.claims["sub"] for request in scene.watch.requests()] == [robot]


@pytest.mark.parametrize("robot", ["robot$web+ci", "$oauthtoken"])
@able("push")
def test_push_by_the_name_that_harbor_or_quay_gave(kind: type[Client], robot: str, scene: Scene) -> None:
    """The stored credentials of a robot push what a policy grants to `user:robot$web+ci`."""
    client, repository = scene.client(kind, robot), scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository)
    events = scene.events(robot)
    assert {event.outcome for event in events} == {"granted"}
    base = {"public"} if kind.name == "ko" else set()  # which builds on an image that it pulls
    assert {rule["rule"] for event in events for rule in event.fields["rules"]} == {"robots", *base}


@able("push")
def test_push_where_it_is_granted(kind: type[Client], scene: Scene) -> None:
    """A writer pushes, with a token for exactly pull and push."""
    client, repository = scene.client(kind, "ann"), scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository)
    events = scene.events("ann")
    assert {action for event in events for action in event.actions(f"repository:{repository}")} == {"pull", "push"}
    assert {event.outcome for event in events} == {"granted"}
    assert {(request.method, request.user) for request in scene.watch.requests()} == {(client.method, "ann")}


@able("push")
def test_push_with_every_character_in_the_password(kind: type[Client], scene: Scene) -> None:
    """As with a login, but through the stored credentials, in a Basic header or a form."""
    client, repository = scene.client(kind, "bob"), scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert {event.outcome for event in scene.events("bob")} == {"granted"}


@able("push")
def test_push_to_a_repository_four_segments_deep(kind: type[Client], scene: Scene) -> None:
    """A name may have many segments, and the rule for a user's own namespace covers them."""
    client, repository = scene.client(kind, "eve"), scene.new_name("users/eve/team")
    assert repository.count("/") == 3
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository)
    assert {event.outcome for event in scene.events("eve")} == {"granted"}


@able("push")
def test_push_where_only_pull_is_granted(kind: type[Client], scene: Scene) -> None:
    """A reader's push token holds pull alone, and the registry takes nothing for it."""
    client, repository = scene.client(kind, "ben"), scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert not output.ok, str(output)
    assert client.refusal in output.text
    assert not scene.registry.holds(repository)
    asking = [event for event in scene.events("ben") if "push" in event.wanted(f"repository:{repository}")]
    assert {event.actions(f"repository:{repository}") for event in asking} == {frozenset({"pull"})}
    assert {event.outcome for event in asking} == {"partial"}


@able("push")
def test_push_where_a_deny_rule_forbids_it(kind: type[Client], scene: Scene) -> None:
    """A writer elsewhere is no writer where a deny rule says so."""
    client, repository = scene.client(kind, "ann"), scene.new_name("web/prod")
    output = client.push(scene.registry, scene.image, repository)
    assert not output.ok, str(output)
    assert client.refusal in output.text
    assert not scene.registry.holds(repository)
    assert not any("push" in event.actions(f"repository:{repository}") for event in scene.events("ann"))


@able("pull")
def test_pull_as_another_member(kind: type[Client], scene: Scene) -> None:
    """A reader pulls what somebody else pushed, with a token for pull alone."""
    client, repository = scene.client(kind, "ben"), scene.stored("web")
    output = client.pull(scene.registry, repository)
    assert output.ok, str(output)
    events = scene.events("ben")
    assert {event.granted for event in events} == {frozenset({f"repository:{repository}:pull"})}
    assert {event.outcome for event in events} == {"granted"}
    assert {request.method for request in scene.watch.requests()} == {client.method}


@able("pull")
def test_pull_as_a_stranger(kind: type[Client], scene: Scene) -> None:
    """A user without any right on it gets a token without access, and the registry refuses."""
    client, repository = scene.client(kind, "eve"), scene.stored("web")
    output = client.pull(scene.registry, repository)
    assert not output.ok, str(output)
    assert client.refusal in output.text
    events = scene.events("eve")
    assert {(event.outcome, event.granted) for event in events} == {("denied", frozenset())}
    assert {request.status for request in scene.watch.requests()} == {200}


@able("pull")
def test_anonymous_pull_of_what_is_public(kind: type[Client], scene: Scene) -> None:
    """Without credentials a client pulls what a rule gives to everyone, with an empty subject."""
    client, repository = scene.client(kind), scene.stored("public")
    output = client.pull(scene.registry, repository)
    assert output.ok, str(output)
    assert {event.granted for event in scene.events(ANONYMOUS)} == {frozenset({f"repository:{repository}:pull"})}
    assert {(request.user, request.claims["sub"]) for request in scene.watch.requests()} == {(None, "")}


@able("pull")
def test_anonymous_pull_of_what_is_not_public(kind: type[Client], scene: Scene) -> None:
    """Without credentials everything else is refused."""
    client, repository = scene.client(kind), scene.stored("web")
    output = client.pull(scene.registry, repository)
    assert not output.ok, str(output)
    assert client.refusal in output.text
    assert {(event.outcome, event.granted) for event in scene.events(ANONYMOUS)} == {("denied", frozenset())}


@able("delete")
def test_delete_where_it_is_granted(kind: type[Client], scene: Scene) -> None:
    """A maintainer deletes, also when the client asks for `*`; the grant is a list without a star."""
    client, repository = scene.client(kind, "mia"), scene.stored("web")
    output = client.delete(scene.registry, repository, scene.image)
    assert output.ok, str(output)
    assert not scene.registry.holds(repository)
    granted = [event.actions(f"repository:{repository}") for event in scene.events("mia")]
    assert any("delete" in actions for actions in granted)
    assert not any("*" in actions for actions in granted)


@able("delete")
def test_delete_where_it_is_not_granted(kind: type[Client], scene: Scene) -> None:
    """A writer may not delete, and the image stays."""
    client, repository = scene.client(kind, "ann"), scene.stored("web")
    output = client.delete(scene.registry, repository, scene.image)
    assert not output.ok, str(output)
    assert scene.registry.holds(repository)
    events = scene.events("ann")
    assert any(event.wanted(f"repository:{repository}") & {"delete", "*"} for event in events)
    assert not any(event.actions(f"repository:{repository}") & {"delete", "*"} for event in events)


@able("mount")
def test_mount_from_a_readable_source(kind: type[Client], scene: Scene) -> None:
    """One token for both repositories lets the registry mount blobs instead of taking them again."""
    client, source, target = scene.client(kind, "ann"), scene.stored("web"), scene.new_name("web")
    output = client.mount(scene.registry, source, target)
    assert output.ok, str(output)
    assert scene.registry.holds(target)
    both = [event.granted for event in scene.events("ann") if event.wanted(f"repository:{source}") == {"pull"}]
    assert frozenset({f"repository:{source}:pull", f"repository:{target}:pull,push"}) in both
    assert scene.registry.mounts(source, target) == {201}


@able("mount")
def test_mount_from_an_unreadable_source(kind: type[Client], scene: Scene) -> None:
    """Nothing is mounted out of a repository that the pusher may not read, though its blobs are known."""
    client, source, target = scene.client(kind, "ann"), scene.stored("secret"), scene.new_name("web")
    # Where somebody else reads the source, the client has the image, and may upload what it cannot mount.
    reader = None if client.one_identity else scene.credentials("sue")
    output = client.mount(scene.registry, source, target, reader)
    assert output.ok == (client.uploads_instead and not client.one_identity), str(output)
    assert output.ok or client.refusal in output.text
    assert scene.registry.holds(target) == output.ok
    events = scene.events("ann")
    assert any(event.wanted(f"repository:{source}") for event in events)
    assert not any(event.actions(f"repository:{source}") for event in events)
    assert 201 not in scene.registry.mounts(source, target)


@able("catalog")
def test_catalog_where_it_is_granted(kind: type[Client], scene: Scene) -> None:
    """Listing a registry takes the literal star, which one rule gives."""
    client, repository = scene.client(kind, "olga"), scene.stored("secret")
    output = client.catalog(scene.registry)
    assert output.ok, str(output)
    assert repository in output.stdout
    assert frozenset({"registry:catalog:*"}) in {event.granted for event in scene.events("olga")}


@able("catalog")
def test_catalog_where_it_is_not_granted(kind: type[Client], scene: Scene) -> None:
    """Whoever has rights on repositories has none on the catalog."""
    client, repository = scene.client(kind, "mia"), scene.stored("web")
    output = client.catalog(scene.registry)
    assert not output.ok, str(output)
    assert repository not in output.stdout
    asking = [event for event in scene.events("mia") if event.asked]
    assert {(event.asked, event.granted) for event in asking} == {(frozenset({"registry:catalog:*"}), frozenset())}


@pytest.mark.parametrize(
    "kind", [row(client) for client in CLIENTS if "push" not in CANNOT[client.name] and not client.has_daemon]
)
def test_a_push_leaves_the_system_as_it_is(kind: type[Client], scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client writes is on the machine of the test, also what it would write in the system's folders as root."""
    need_root("an overlay")
    client, enter = scene.client(kind, "ann"), Machine.enter
    around = ["unshare", "--mount", "--propagation", "private", "sh", "-c", WATCHED, "sh"]
    monkeypatch.setattr(Machine, "enter", lambda machine, command: [*around, *enter(machine, command)])
    if client.machine.run("true").code == 77:
        refuse("an overlay cannot be mounted here")
    repository = scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository)
    changed = client.machine.folder / "changed"
    assert [path for path in changed.rglob("*") if not path.is_dir()] == []
    assert client.machine.run("touch", "/etc/left").ok
    assert [path for path in changed.rglob("*") if not path.is_dir()] == [changed / "etc/left"]
