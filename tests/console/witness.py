"""Hears what a browser does while a test uses it, and names what no page of ours may do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Request, Response, WebError

_TOLD_BY_THE_ANSWER = "Failed to load resource:"
_LEFT = "net::ERR_ABORTED"  # the page was left, or ended a stream itself

#: Content security policies tell the page alone what they have refused.
_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", event =>
    console.error(`policy refused ${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`))
"""


class Witness:
    """What was wrong in a browser context so far; a test names what it expects to go wrong beforehand.

    `lost` allows that the service is not reached. `statuses` are those from 400 on that a test brings about.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.faults: list[str] = []
        self.statuses: set[int] = set()
        self.lost = False
        self._host = urlsplit(address).netloc
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._hear_console)
        context.on("weberror", self._hear_error)
        context.on("request", self._hear_request)
        context.on("response", self._hear_response)
        context.on("requestfailed", self._hear_failure)
        context.on("dialog", self._hear_dialog)

    def _hear_console(self, message: ConsoleMessage) -> None:
        told = message.text.startswith(_TOLD_BY_THE_ANSWER) or any(
            f"status {status}" in message.text for status in self.statuses
        )
        if message.type in {"error", "warning"} and not told and not self.lost:
            self.faults.append(f"console {message.type}: {message.text}")

    def _hear_error(self, error: WebError) -> None:
        self.faults.append(f"script error: {error.error}")

    def _hear_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc not in {self._host, ""}:
            self.faults.append(f"request elsewhere: {request.url}")

    def _hear_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.statuses:
            self.faults.append(f"{response.status}: {response.request.method} {response.url}")

    def _hear_failure(self, request: Request) -> None:
        if request.failure != _LEFT and not self.lost:
            self.faults.append(f"no answer: {request.method} {request.url}: {request.failure}")

    def _hear_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()
