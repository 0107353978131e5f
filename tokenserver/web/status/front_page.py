"""The page at `/`: what this server is, whether it is ready, and where to read on. No framework, no I/O.

It says nothing that is not public anyway: no version, no registries, no users, and nothing of the request.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json

_STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{background:Canvas;font:16px/1.55 system-ui,sans-serif;max-width:42rem;margin:12vh auto 4rem;padding:0 1.25rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem}p{margin:.5rem 0}
.state{display:inline-block;border:1px solid var(--line);border-radius:99px;padding:.1rem .75rem;font-size:.9rem}
.state::before{content:"";display:inline-block;width:.6rem;height:.6rem;border-radius:50%;margin-right:.5rem}
.ready::before{background:#2a8f4f}.waiting::before{background:#c9830a}
code,pre{font:.88rem/1.5 ui-monospace,monospace}pre{border:1px solid var(--line);border-radius:6px;padding:.75rem}
pre{overflow-x:auto;white-space:pre-wrap}table{border-collapse:collapse;width:100%}
td{border-top:1px solid var(--line);padding:.4rem .75rem .4rem 0;vertical-align:top}
"""

_SPECIFICATION = "https://distribution.github.io/distribution/spec/auth/token/"

_PLACES = (
    ("healthz", "the process answers"),
    ("readyz", "keys, policies and user sources are in order; if not, why"),
    ("ca.pem", "the certificate that registries trust"),
    (".well-known/jwks.json", "the public keys"),
)
"""Relative to this page, which a proxy may have below a path."""

_WHAT = "This server issues short-lived tokens for container registries."

_MANAGEMENT = "Here people and programs manage credentials for container registries. Tokens are issued elsewhere."

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>tokenserver</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>tokenserver</h1>
<p>{what} Container engines use it by themselves; there is nothing to click.</p>
<p><span class="state {state}">{words}</span></p>
<h2>To use it</h2>
<p>Log in to the registry, not to this address, with your user name and password:</p>
<pre>docker login REGISTRY</pre>
<h2>If a push or pull is denied</h2>
<p>Ask which rule decides, and whose namespace it is. REGISTRY is the name that the registry's owner gave it here:</p>
<pre tabindex="0">curl -u USER "https://THIS-ADDRESS/token?service=REGISTRY&amp;explain=1&amp;scope=repository:NAME:pull,push"</pre>
<h2>For operators</h2>
<table>
{rows}
</table>
<p>On the server, <code>tokenserver help</code> lists the documentation, and <code>tokenserver doctor</code> finds out
why a registry rejects tokens. The protocol is Distribution's
<a rel="noreferrer" href="{specification}">token authentication specification</a>.</p>
</main>
</body>
</html>
"""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HTML_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Vary", "Accept"),
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


def as_html(*, is_ready: bool, base: str = "") -> str:
    """The page for browsers; sent with `HTML_HEADERS`, which allow its style and nothing else.

    `base` is put before its links: the last part of the page's own path and a slash, if that path ends without one.
    """
    rows = "\n".join(
        f'<tr><td><a href="{html.escape(base + path)}"><code>/{path}</code></a></td><td>{what}</td></tr>'
        for path, what in _PLACES
    )
    return _PAGE.format(
        style=_STYLE,
        what=_WHAT,
        state="ready" if is_ready else "waiting",
        words="Up and ready" if is_ready else "Up, but not ready; see /readyz",
        rows=rows,
        specification=_SPECIFICATION,
    )


def as_json(*, is_ready: bool, base: str = "", tokens: bool = True) -> str:
    """The same for programs; without `tokens`, at a listener that issues none."""
    if not tokens:
        content = {"name": "tokenserver", "about": _MANAGEMENT, "ready": is_ready, "api": f"./{base}api/v1"}
        return json.dumps(content) + "\n"
    content = {
        "name": "tokenserver",
        "about": _WHAT,
        "ready": is_ready,
        "token_endpoint": f"./{base}token",
        "pages": [base + path for path, _ in _PLACES],
        "specification": _SPECIFICATION,
    }
    return json.dumps(content) + "\n"
