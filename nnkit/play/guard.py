"""Who may talk to the server: a browser that was given the token, at an address of this machine."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""With every answer: nothing from elsewhere is loaded, and no other page may hold this one."""

NO_TOKEN = (
    "This page opens with the address that nnkit printed, token and all: go back to where you "
    "started it, and take the whole address.\n"
)
NOT_HERE = "nnkit play answers at the address that it printed, and to its own pages alone.\n"


class Guard:
    """Lets through what has the right host, origin and token; the rest gets 403, or 405.

    Hosts are numbers and the names given here: a name that an attacker had pointed at this machine
    (DNS rebinding) is none of them. The token comes in the address, and stays as a cookie.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, names: Iterable[str] = ()) -> None:
        self.app, self.token, self.port = app, token, port
        self.names = {"localhost", *(name.lower() for name in names)}
        self.cookie = f"nnkit-{port}"  # browsers send a host's cookies to all of its ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the application do so."""

        async def guarded(message: Message) -> None:
            if message["type"].endswith("response.start"):
                added = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        answer = self._instead(scope, Headers(scope=scope)) or self.app
        await answer(scope, receive, guarded)

    def _instead(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered instead; None: it may pass."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_here(host) or origin not in (None, f"http://{host}"):
            return PlainTextResponse(NOT_HERE, 403)
        web = scope["type"] == "http"
        if web and scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("This is only read.\n", 405, {"allow": "GET, HEAD"})
        if self._is_token(QueryParams(scope["query_string"]).get("token")):
            return self._welcome() if web else None
        if self._is_token(cookie_parser(headers.get("cookie", "")).get(self.cookie)):
            return None
        return PlainTextResponse(NO_TOKEN, 403)

    def _welcome(self) -> Response:
        """Keep the token as a cookie, and go where the address does not have it."""
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer

    def _is_token(self, text: str | None) -> bool:
        return text is not None and secrets.compare_digest(text.encode(), self.token.encode())

    def _is_here(self, host: str) -> bool:
        """Whether a Host header names this server."""
        parts = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?", host)
        if parts is None or int(parts[2] or 80) != self.port:
            return False
        name = parts[1].strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True
