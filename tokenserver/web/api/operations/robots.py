"""Operations on robots and their secrets."""

from __future__ import annotations

from tokenserver.storage.selection import Listed
from tokenserver.web.api.answers import NewSecretDocument, RobotDocument, RobotPage
from tokenserver.web.api.cursors import USUAL_LIMIT, page_of
from tokenserver.web.api.documents import new_secret_document, robot_document
from tokenserver.web.api.operation import Call, Operation, Reply
from tokenserver.web.api.operations.access_keys import PAGING
from tokenserver.web.api.requests import Rotation, SecretWish


def list_robots(call: Call) -> Reply:
    """The robots that the client manages."""
    items, following = page_of(
        call.management.robots(call.who),
        lambda robot: (0, robot.name),
        limit=call.number("limit", USUAL_LIMIT),
        cursor=call.query.get("cursor"),
    )
    return Reply(200, RobotPage(items=[robot_document(one) for one in items], next=following))


def get_robot(call: Call) -> Reply:
    """One robot."""
    return Reply(200, robot_document(call.management.robot(call.who, call.path["name"])))


def create_robot_secret(call: Call) -> Reply:
    """A new secret."""
    body: SecretWish = call.content()
    name = call.path["name"]
    secret, made = call.management.create_robot_secret(call.who, name, body.wish())
    return Reply(201, new_secret_document(secret, Listed(made), call.moment), f"/robots/{name}")


def rotate_robot_secret(call: Call) -> Reply:
    """A successor."""
    body: Rotation = call.content()
    name = call.path["name"]
    secret, made = call.management.rotate_robot_secret(call.who, name, call.path["id"], body.lifetime_seconds)
    return Reply(201, new_secret_document(secret, Listed(made), call.moment), f"/robots/{name}")


def end_robot_secret(call: Call) -> Reply:
    """The end of a secret."""
    call.management.end_robot_secret(call.who, call.path["name"], call.path["id"])
    return Reply(204, None)


ROBOT_OPERATIONS = (
    Operation(
        "GET",
        "/robots",
        "listRobots",
        "List the robots that you manage",
        list_robots,
        "Those that you own; all of them for an administrator.",
        answer=RobotPage,
        query=PAGING,
    ),
    Operation("GET", "/robots/{name}", "getRobot", "Show a robot and its secrets", get_robot, answer=RobotDocument),
    Operation(
        "POST",
        "/robots/{name}/secrets",
        "createRobotSecret",
        "Make a secret of a robot",
        create_robot_secret,
        "The answer has the secret, which is shown once. A robot has two live secrets at most, those of policy files"
        " included.",
        body=SecretWish,
        answer=NewSecretDocument,
        status=201,
        problems=(409,),
    ),
    Operation(
        "POST",
        "/robots/{name}/secrets/{id}/rotate",
        "rotateRobotSecret",
        "Replace a stored secret of a robot",
        rotate_robot_secret,
        "The new secret has the same limits. The old one ends after 24 hours.",
        body=Rotation,
        answer=NewSecretDocument,
        status=201,
        problems=(409,),
    ),
    Operation(
        "DELETE",
        "/robots/{name}/secrets/{id}",
        "endRobotSecret",
        "End a stored secret of a robot",
        end_robot_secret,
        "A secret of a policy file ends when its line is removed there.",
        status=204,
        problems=(409,),
    ),
)
