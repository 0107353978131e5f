"""A real browser, Debian's chromium without a window, and a page that asks the token endpoint."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.processes import plain_environment, run
from harness.programs import need

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    # Time stands still while a request is under way, so the page is dumped when it has all of its answers.
    "--virtual-time-budget=20000",
)

_PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>a user interface</title>
<pre id="found"></pre>
<script>
const asked = {asked};
async function one(request) {{
  const {{url, ...options}} = request;
  try {{
    const response = await fetch(url, {{credentials: "include", ...options}});
    const names = ["www-authenticate", "retry-after", "x-request-id", "content-security-policy"];
    const headers = Object.fromEntries(names.map(name => [name, response.headers.get(name)]));
    return {{status: response.status, body: await response.json(), headers}};
  }} catch (error) {{
    return {{error: error.name}};
  }}
}}
(async () => {{
  const found = [];
  for (const request of asked) found.push(await one(request));
  document.getElementById("found").textContent = JSON.stringify(found);
}})();
</script>
"""


@contextmanager
def page(port: int, requests: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """A site on this port with one page, which makes these requests (`url` and the options of fetch) one by one."""
    body = _PAGE.format(asked=json.dumps(list(requests))).encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", port), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def found_by(url: str, folder: Path) -> list[dict[str, Any]]:
    """What the page at this address was answered, as the browser let it see; `error` where it saw nothing.

    The browser keeps its profile in `folder`, whose name must be short, because sockets lie there.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    profile = folder / "profile"
    command: list[str | Path] = [need("chromium"), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    output = run(command, environment=plain_environment(folder), folder=folder)
    assert output.ok, str(output)
    dumped = re.search(r'<pre id="found">(.*?)</pre>', output.stdout, re.DOTALL)
    assert dumped is not None, str(output)
    found: list[dict[str, Any]] = json.loads(html.unescape(dumped[1]))
    return found
