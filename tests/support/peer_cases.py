"""Configurations of docker_auth and calls of its token endpoint, whose answers are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

HASHES = {
    "badmin": "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC",
    "123": "$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya",
}
"""Passwords and their hashes in examples of docker_auth."""


@dataclass(frozen=True)
class Call:
    """A call of `/auth`."""

    query: str = ""
    user: str | None = None
    password: str = ""
    method: str = "GET"
    form: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    authorization: str | None = None


@dataclass(frozen=True)
class Case:
    """A configuration (without addresses and keys) and calls; `server` is added to its section `server`."""

    name: str
    config: str
    calls: tuple[Call, ...] = ()
    server: dict[str, object] = field(default_factory=dict)


def pull(name: str, actions: str = "pull,push", kind: str = "repository") -> str:
    """A query for one scope."""
    return f"service=reg&scope={quote(f'{kind}:{name}:{actions}')}"


def asked(*queries: str, user: str | None = None, password: str = "") -> tuple[Call, ...]:
    """A call for each query."""
    return tuple(Call(query, user, password) for query in queries)


ANYONE = 'users: {"": {}, ann: {}, bob: {}, "a*": {}, "b.c": {}, "ann@test.com": {}, "*@test.com": {}}\n'

GRANT_ALL = ANYONE + 'acl: [{match: {}, actions: ["*"]}]'

LABELLED = """\
users:
  ann: {labels: {group: [web, dev], project: [site, api], none: [], one: [x]}}
  bob: {labels: {group: [], glob: ["*"], tricky: ["${account}"]}}
  zed: {labels: {regex: ["/.*/"], none: [""]}}
  eve: {labels: {"1": [a], "a:2": [b], group: [".*", "a*"]}}
acl:
"""


def _acl(*entries: str) -> str:
    return "acl:\n" + "\n".join(f"- {entry}" for entry in entries)


def _names(*names: str) -> tuple[str, ...]:
    return tuple(pull(name) for name in names)


_NAMES = (
    "a",
    "a/b",
    "a/b/c",
    "",
    "ab",
    "A",
    "a.b",
    "ann/x",
    "team/x",
    "é",
    "a\nb",
    "*",
    "..",
    "/",
    "//",
    "a b".replace(" ", "_"),
)

CASES = (
    Case(
        "scopes",
        GRANT_ALL,
        asked(
            "",
            "service=reg",
            "scope=",
            "scope=&scope=repository:a:pull",
            "scope=repository:a:pull&scope=",
            "scope=repository:a:pull&scope=repository:b:push",
            "scope=repository:a:pull%20repository:b:push,pull",
            "scope=repository:a:pull%20%20repository:b:push",
            "scope=repository:a:pull%20",
            "scope=+repository:a:pull",
            "scope=repository:a",
            "scope=repository",
            "scope=repository:host:5000/a:pull",
            "scope=repository:a:b:c:d",
            "scope=Repository:a:pull",
            "scope=REPOSITORY:a:pull",
            "scope=!!ROOT-x:a:pull",
            "scope=repository(plugin):a:pull",
            "scope=Repository(Plugin):a:pull",
            "scope=:a:pull",
            "scope=repository::pull",
            "scope=repository:../..:pull",
            "scope=repository:a:",
            "scope=repository:a:pull,",
            "scope=repository:a:push,pull,push",
            "scope=repository:a:*",
            "scope=repository:a:bogus,Pull",
            "scope=registry:catalog:*",
            "scope=repository:a:pull;x=1",
            "scope=repository:a:pull&x=%zz",
            "scope=repository:a%zz:pull",
            "scope=repository:%ff:pull",
            "scope=repository:%C3%A9:pull",
            "scope=repository:a:pull&scope=repository:a:push",
            "scope=r%C3%A9pository:a:pull",
            "SCOPE=repository:a:pull",
            "service=a&service=b&scope=repository:a:pull",
            "service=&scope=repository:a:pull",
            "scope=re\tpository:a:pull".replace("\t", "%09"),
            "scope=repository:a:pull%0Arepository:b:push",
            "scope=_0:a:z,y,x",
        ),
    ),
    Case(
        "logins",
        f"users: {{admin: {{password: '{HASHES['badmin']}'}}, "
        '"": {}, free: {}, "a:b": {}, bad: {password: ""}, none: {password: ~}}\n'
        'acl: [{match: {account: "/.+/"}, actions: ["*"]}, {match: {}, actions: [pull]}]',
        (
            *asked(pull("a")),
            *asked(pull("a"), user="admin", password="badmin"),
            *asked(pull("a"), user="admin", password="wrong"),
            *asked(pull("a"), user="admin", password=""),
            *asked(pull("a"), user="nobody", password="x"),
            *asked(pull("a"), user="", password="x"),
            *asked(pull("a"), user="free", password="anything"),
            *asked(pull("a"), user="bad", password=""),
            *asked(pull("a"), user="none", password="x"),
            *asked("account=free&" + pull("a"), user="admin", password="badmin"),
            *asked("account=admin&" + pull("a"), user="admin", password="badmin"),
            *asked("account=admin&" + pull("a"), user="", password=""),
            *asked("account=free&" + pull("a")),
            *asked("account=admin&" + pull("a")),
            *asked("account=nobody&" + pull("a")),
            *asked("account=&" + pull("a"), user="free", password="x"),
            *asked("account=Admin&" + pull("a"), user="Admin", password="badmin"),
            Call(pull("a"), authorization="Basic !!!"),
            Call(pull("a"), authorization="Basic YWRtaW4="),
            Call(pull("a"), authorization="Basic"),
            Call(pull("a"), authorization="Bearer x"),
            Call(pull("a"), authorization="basic YWRtaW46YmFkbWlu"),
            Call(pull("a"), authorization="BASIC YWRtaW46YmFkbWlu"),
            Call(pull("a"), authorization="Basic  YWRtaW46YmFkbWlu"),
            Call(pull("a"), authorization="Basic YWRtaW46YmFkbWlu "),
            Call(pull("a"), authorization="Basic YWRtaW46YmFkbWl1"),
            Call(pull("a"), authorization="Basic Og=="),
            Call(pull("a"), authorization="Basic Og"),
            Call(pull("a"), authorization="Basic YTpiOmM="),
            Call(pull("a"), authorization="Basic /zp4"),
            Call(pull("a"), method="POST", form="username=admin&password=badmin"),
            Call(pull("a"), method="POST", form="username=admin&password=wrong"),
            Call(pull("a"), method="POST", form="username=admin"),
            Call(pull("a"), method="POST", form="password=badmin"),
            Call(pull("a"), method="POST", form="grant_type=refresh_token&refresh_token=x"),
            Call(pull("a"), method="POST", form="account=free"),
            Call(pull("a"), method="POST", form="account=admin&username=free&password=badmin"),
            Call(pull("a"), method="POST", form="scope=repository:b:push"),
            Call("", method="POST", form="scope=repository:b:push&service=x"),
            Call("username=admin&password=badmin&" + pull("a"), method="POST"),
            Call("username=admin&password=badmin&" + pull("a")),
            Call(pull("a"), method="PUT", form="username=admin&password=badmin"),
            Call(pull("a"), method="PUT", form="account=free"),
            Call(pull("a"), method="DELETE", form="account=free"),
            Call(pull("a"), method="PATCH", form="account=free"),
            Call(pull("a"), method="OPTIONS"),
            Call(pull("a"), "admin", "badmin", method="POST", form="username=free&password=x"),
            Call(pull("a"), "free", "x", method="POST", form="account=admin"),
            Call("offline_token=true&client_id=x&" + pull("a"), "admin", "badmin"),
        ),
    ),
    Case("no anonymous", "users: {admin: {}}\nacl: [{match: {}, actions: [pull]}]", asked(pull("a"), "account=admin")),
    Case(
        "users as keys",
        "users: {yes: {}, true: {}, 123: {}, 0x10: {}, ~: {}, null1: , nully: Null, 1.50: {},"
        " on: {labels: {a: [1, yes]}}}\n"
        'acl: [{match: {labels: {a: "yes"}}, actions: ["*"]}, {match: {labels: {a: 1}}, actions: [x]},'
        " {match: {}, actions: [pull]}]",
        tuple(
            Call(f"account={user}&{pull('a')}")
            for user in ("yes", "true", "123", "16", "0x10", "", "null1", "nully", "1.5", "1.50", "on", "True")
        ),
    ),
    Case(
        "actions",
        ANYONE
        + _acl(
            '{match: {name: all}, actions: ["*"]}',
            '{match: {name: more}, actions: ["*", pull]}',
            "{match: {name: none}, actions: []}",
            "{match: {name: missing}}",
            "{match: {name: nulled}, actions: }",
            "{match: {name: text}, actions: [~, yes, 1]}",
            "{match: {name: twice}, actions: [pull, pull, push]}",
            "{match: {name: once}, actions: [pull]}",
            '{match: {name: once}, actions: ["*"]}',
            '{match: {name: starred}, actions: ["*", "*"]}',
        ),
        asked(
            *(
                pull(name, actions)
                for name in ("all", "more", "none", "missing", "nulled", "text", "twice", "once", "starred", "other")
                for actions in ("pull,push", "*", "push,pull,pull,*", "", "yes,1,~,null", "Pull")
            ),
            "scope=repository:once:pull&scope=repository:missing:pull&scope=repository:all:x",
            "scope=repository:once:pull&scope=repository:other:pull&scope=repository:all:x",
        ),
    ),
    *(
        Case(
            f"name {pattern}",
            ANYONE + f"acl: [{{match: {{name: '{pattern}'}}, actions: [pull]}}]",
            asked(*(pull(name, "pull") for name in _NAMES)),
        )
        for pattern in (
            *(
                "*",
                "**",
                "a/*",
                "*/b",
                "a/**",
                "?",
                "a?b",
                "[a-b]",
                "[^b]",
                "[!a]",
                "[",
                "a\\",
                "\\a",
                "{a,b}",
                "",
                "[^x]*",
            ),
            *("/a/", "/^a$/", "/^a/b$/", "//", "///", "/", "/(?i)^A$/", "/^a.b$/", "/(?s)^a.b$/", "/^[^x]$/", "/\\w+/"),
            *("/^a\\z/", "/\\pL/", "/^$/", "/[[:upper:]]/", "/^\\Q*\\E/", "/a|b/", "/^(a|b)+$/", "/.+/", "/^a$|^ab$/"),
        )
    ),
    *(
        Case(f"rejected {pattern}", ANYONE + f"acl: [{{match: {{{key}: {pattern}}}, actions: [pull]}}]")
        for key, pattern in (
            ("name", "'/(/'"),
            ("account", "'/(?=a)/'"),
            ("type", "'/a**/'"),
            ("service", "'/[b-a]/'"),
            ("name", r"'/(a)\1/'"),
            ("name", "'/a{1001}/'"),
            ("ip", "'10.0.0.0/33'"),
            ("ip", "'10.0.0'"),
            ("ip", "''"),
            ("ip", "'::1%lo'"),
            ("labels", "{group: '/(/'}"),
            ("labels", "[a]"),
            ("name", "[a]"),
            ("name", "{a: b}"),
        )
    ),
    Case(
        "hidden placeholder",
        ANYONE + """acl: [{match: {account: '/^(a)/', name: '${account}/${account:1}'}, actions: [pull]}]""",
        asked(*(f"account=ann&{pull(name)}" for name in ("ann/a", "ann/${account:1}"))),
    ),
    Case("rejected: no match", ANYONE + "acl: [{actions: [pull]}]"),
    Case("rejected: null match", ANYONE + "acl: [{match: , actions: [pull]}]"),
    Case("rejected: null entry", ANYONE + "acl: [~]"),
    Case("rejected: no acl", ANYONE),
    Case("rejected: null acl", ANYONE + "acl:"),
    Case("rejected: no users", "acl: []"),
    Case("rejected: null users", "users:\nacl: []"),
    Case("rejected: user is text", "users: {a: b}\nacl: []"),
    Case("rejected: a label is text", "users: {a: {labels: {g: b}}}\nacl: []"),
    Case("rejected: not YAML", "users: {a: {\nacl: []"),
    Case("empty acl", ANYONE + "acl: []", asked(pull("a"), "")),
    Case("empty users", "users: {}\nacl: []", asked(pull("a"), "")),
    Case("Null match", ANYONE + "acl: [{match: Null, actions: [pull]}]", asked(pull("a"))),
    Case(
        "fields",
        ANYONE
        + _acl(
            '{match: {account: "", name: anon}, actions: [a]}',
            "{match: {account: NULL, name: capital}, actions: [b]}",
            "{match: {account: ~, name: nulled}, actions: [c]}",
            '{match: {account: "/.+/", name: logged}, actions: [d]}',
            '{match: {account: "*", name: star}, actions: [e]}',
            '{match: {type: "", name: typed}, actions: [f]}',
            "{match: {type: registry}, actions: [g]}",
            "{match: {service: reg, name: served}, actions: [h]}",
            '{match: {service: "", name: unserved}, actions: [i]}',
            '{match: {account: "ann", type: "repos*", name: "x/*", service: "/^r/"}, actions: [j]}',
            '{match: {account: "b.c", name: dotted}, actions: [k]}',
            '{match: {account: "/^b.c$/", name: dotted}, actions: [l]}',
        ),
        tuple(
            Call(f"account={account}&service={service}&scope={kind}:{name}:{actions}")
            for account in ("", "ann", "b.c")
            for service in ("reg", "")
            for kind, name in (
                *(
                    ("repository", name)
                    for name in ("anon", "capital", "nulled", "logged", "star", "typed", "served", "unserved")
                ),
                ("repository", "x/y"),
                ("repository", "dotted"),
                ("registry", "catalog"),
            )
            for actions in ("a,b,c,d,e,f,g,h,i,j,k,l",)
        ),
    ),
    Case(
        "ignored keys",
        ANYONE
        + 'acl: [{match: {team: infra}, actions: [pull, push], Comment: x}, {match: {account:"ann"}, actions: ["*"]}]',
        asked(pull("a", "pull,push,delete")),
    ),
    Case(
        "repeated keys",
        'users: {a: {labels: {g: [x]}}, a: {}, b: {}}\nusers: {c: {}}\nacl: [{match: {}, actions: ["*"]}]\n'
        "acl: [{match: {account: a, name: x}, match: {name: y}, actions: [p], actions: [pull]}]",
        tuple(Call(f"account={user}&{pull(name)}") for user in ("a", "b", "c", "d") for name in ("x", "y")),
    ),
    Case(
        "anchors",
        'x: &M {account: ann, name: "a/*"}\n'
        "users: {ann: &U {labels: &L {g: [x]}}, bob: *U, eve: {<<: *U, labels: {}}}\n"
        "acl: [{match: *M, actions: &A [pull]}, {match: {<<: *M, account: bob}, actions: *A},"
        ' {match: {account: eve, <<: *M}, actions: ["*"]}, {match: {labels: {g: x}}, actions: [push]}]',
        tuple(Call(f"account={user}&{pull(name)}") for user in ("ann", "bob", "eve") for name in ("a/b", "c")),
    ),
    *(
        Case(
            f"ip {pattern}",
            ANYONE + f"acl: [{{match: {{ip: '{pattern}'}}, actions: [pull]}}]",
            tuple(
                Call(pull("a", "pull"), headers={"X-Real-IP": address})
                for address in (
                    "10.1.2.3",
                    "10.1.2.3:99",
                    "::1",
                    "[::1]:5",
                    "[::1]",
                    "::ffff:10.1.2.3",
                    "2001:db8::1",
                    "",
                )
            ),
            server={"real_ip_header": "X-Real-IP"},
        )
        for pattern in (
            *("10.1.2.3", "10.1.0.0/16", "10.1.2.9/8", "0.0.0.0/0", "::/0", "::ffff:10.1.2.3", "::ffff:10.0.0.0/104"),
            *("::1", "2001:db8::/32", "0:0:0:0:0:ffff::/90"),
        )
    ),
    *(
        Case(
            f"address at {position}",
            ANYONE + "acl: [{match: {ip: 10.0.0.1}, actions: [pull]}, {match: {}, actions: [other]}]",
            tuple(
                Call(pull("a", "pull,other"), headers={} if value is None else {"X-Forwarded-For": value})
                for value in (
                    "10.0.0.1",
                    "10.0.0.1, 10.0.0.2",
                    "9.9.9.9,10.0.0.1 ,8.8.8.8",
                    "",
                    None,
                    "x",
                    "10.0.0.1,",
                    ",",
                )
            ),
            server={"real_ip_header": "X-Forwarded-For", "real_ip_pos": position},
        )
        for position in (0, 1, -1, -2, 7)
    ),
    Case(
        "placeholders",
        ANYONE
        + _acl(
            '{match: {account: "/.+/", name: "${account}/*"}, actions: [a]}',
            '{match: {account: "/^(.+)@test.com$/", name: "${account:1}/*"}, actions: [b]}',
            '{match: {name: "/^${account}-[a-z]+$/"}, actions: [c]}',
            '{match: {name: "svc/${service}"}, actions: [d]}',
            '{match: {name: "type/${type}"}, actions: [e]}',
            '{match: {name: "self/${name}"}, actions: [f]}',
            '{match: {name: "/^sub/(.)(.)/x$/", service: "${name:1}"}, actions: [g]}',
            '{match: {account: "/^(a)(n)n$/", name: "${account}-${account:1}"}, actions: [h]}',
            '{match: {account: "/^(a)(n)n$/", name: "${account:2}-${account}"}, actions: [i]}',
            '{match: {account: "/^(a)(n)n$/", name: "idx${account:3}"}, actions: [j]}',
            '{match: {account: "/^(a)(n)n$/", name: "idx${account:0}"}, actions: [k]}',
            '{match: {account: "/^(a)(n)n$/", name: "cap${Account:1}"}, actions: [l]}',
            '{match: {account: "ann", name: "nore${account:1}"}, actions: [m]}',
            '{match: {account: "/^(?P<first>a)(x)?/", name: "opt${account:2}"}, actions: [n]}',
            '{match: {name: "odd/${ip}"}, actions: [o]}',
            '{match: {name: "odd/${ACCOUNT}"}, actions: [p]}',
            '{match: {name: "odd/${bogus:1}"}, actions: [q]}',
            '{match: {type: "/^(re)/", name: "two/${type:1}${type:1}"}, actions: [r]}',
            '{match: {account: "/^(a)/", name: "zero/${account:01}"}, actions: [s]}',
            '{match: {account: "/^(.)/", name: "/^un/${account:1}$/"}, actions: [t]}',
        ),
        tuple(
            Call(f"account={quote(account)}&service={service}&scope={quote(f'repository:{name}:{actions}')}")
            for account in ("", "ann", "a*", "b.c", "ann@test.com", "*@test.com")
            for service, name in (
                ("reg", f"{account}/x"),
                *(("reg", name) for name in ("ann/x", "a/x", "x/y", "ann-abc", "b-c", "bxc-abc", "b.c-abc", "svc/reg")),
                *(("reg", name) for name in ("type/repository", "self/x", "ann-a", "n-ann", "idx", "idxann", "capa")),
                *(("reg", name) for name in ("nore", "nore${account:1}", "opt", "odd/${ip}", "odd/${ACCOUNT}")),
                *(
                    ("reg", name)
                    for name in ("odd/${bogus:1}", "two/rere", "zero/a", "un/a", "un/x", "un/${account:1}")
                ),
                ("p", "sub/pq/x"),
                ("q", "sub/pq/x"),
                ("*", "sub/*q/x"),
                ("anything", "sub/*q/x"),
                ("a.b", "svc/axb"),
                ("*", "svc/q"),
            )
            for actions in ("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t",)
        ),
    ),
    Case(
        "labels",
        LABELLED
        + "\n".join(
            f"- {entry}"
            for entry in (
                '{match: {name: "g/*", labels: {group: web}}, actions: [a]}',
                '{match: {name: "both/*", labels: {group: web, project: api}}, actions: [b]}',
                '{match: {name: "miss/*", labels: {absent: ""}}, actions: [c]}',
                '{match: {name: "void/*", labels: {group: }}, actions: [d]}',
                '{match: {name: "re/*", labels: {group: "/^w/"}}, actions: [e]}',
                '{match: {name: "${labels:group}/x"}, actions: [f]}',
                '{match: {name: "${labels:group}-${labels:project}/x"}, actions: [g]}',
                '{match: {name: "${labels:group}-${labels:group}"}, actions: [h]}',
                '{match: {name: "${labels:none}/y"}, actions: [i]}',
                '{match: {name: "${labels:none}${labels:group}/z"}, actions: [j]}',
                '{match: {name: "${labels:glob}/globbed"}, actions: [k]}',
                '{match: {name: "${labels:regex}"}, actions: [l]}',
                '{match: {name: "tr/${labels:tricky}"}, actions: [m]}',
                '{match: {name: "inlabel", labels: {one: "${labels:one}"}}, actions: [n]}',
                '{match: {account: "${labels:group}", name: "acc"}, actions: [o]}',
                '{match: {service: "${labels:group}", name: "across-${labels:group}"}, actions: [p]}',
                '{match: {account: "/^(.)/", name: "cap", labels: {group: "${account:1}*"}}, actions: [q]}',
                (
                    '{match: {account: "/^(.)/", name: "caps${account:1}", labels: {group: "/${account:1}/"}},'
                    " actions: [r]}"
                ),
                '{match: {name: "num/${labels:1}"}, actions: [s]}',
                '{match: {name: "colon/${labels:a:2}"}, actions: [t]}',
                '{match: {name: "lit/${labels:absent}"}, actions: [u]}',
                '{match: {name: "/^rx/${labels:group}$/"}, actions: [v]}',
                '{match: {name: "own", labels: {tricky: "${account}"}}, actions: [w]}',
                '{match: {name: "own2", labels: {one: "${service}"}}, actions: [x]}',
            )
        ),
        tuple(
            Call(f"account={account}&service={service}&scope={quote(f'repository:{name}:{actions}')}")
            for account in ("ann", "bob", "eve", "zed")
            for service, name in (
                *(
                    ("reg", f"{name}/x")
                    for name in ("g", "both", "miss", "void", "re", "web", "dev", "web-api", "dev-site")
                ),
                *(
                    ("reg", name)
                    for name in ("web-dev", "web-web", "/y", "/z", "web/z", "any/globbed", "x/globbed/y", "what/ever")
                ),
                *(
                    ("reg", name)
                    for name in ("tr/bob", "tr/${account}", "inlabel", "acc", "cap", "capsa", "capse", "num/a")
                ),
                *(
                    ("reg", name)
                    for name in ("colon/b", "lit/${labels:absent}", "rx/web", "rx/anything", "own", "a/b", "q")
                ),
                ("web", "across-dev"),
                ("web", "across-web"),
                ("x", "own2"),
                ("reg", "a*/x"),
                ("reg", "abc/x"),
            )
            for actions in ("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x",)
        ),
    ),
)
