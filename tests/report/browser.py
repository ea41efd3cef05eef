"""A headless Chromium that shows one page, controlled through its DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

LIMIT_S = 20.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1200,1000",
)


class Page:
    """The shown page, and all its network requests."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._last_id = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        """Messages of the page's console, and violations of its security policy."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command to the browser; returns its answer."""
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=LIMIT_S))
            self._note(message)
            if message.get("id") == self._last_id:
                assert "error" not in message, message["error"]
                return dict(message["result"])

    def show(self, path: Path) -> None:
        """Opens a page and waits until its script has finished."""
        self.value("delete document.documentElement.dataset.ready")
        self.do("Page.navigate", url=path.resolve().as_uri())
        self.until("document.documentElement?.dataset.ready === 'true'")

    def value(self, expression: str) -> Any:
        """Returns the value of an expression in the page."""
        answer = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        limit = time.monotonic() + LIMIT_S
        while not self.value(expression):
            assert time.monotonic() < limit, f"it did not come true: {expression}; {self.complaints}"
            time.sleep(0.02)

    def press(self, key: str, code: int = 0, text: str = "") -> None:
        """Presses and releases a key."""
        known = {"key": key, "windowsVirtualKeyCode": code}
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self.do("Input.dispatchKeyEvent", type="keyUp", **known)

    def type(self, text: str) -> None:
        """Types into the focused element."""
        self.do("Input.insertText", text=text)

    def click(self, selector: str, share: float = 0.5) -> None:
        """Clicks an element at this share of its width from its left edge."""
        self.value(
            f"document.querySelector({selector!r}).scrollIntoView({{behavior: 'instant', block: 'center'}})"
        )
        box = self.value(
            f"(() => {{const b = document.querySelector({selector!r}).getBoundingClientRect();"
            " return {x: b.x, y: b.y, width: b.width, height: b.height}})()"
        )
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] / 2
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def _note(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(about["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(about["exceptionDetails"]["text"])


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """Starts Chromium with a fresh profile and yields its page; ends it with all its processes."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "this test needs Chromium, see the README"
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    log = (profile.parent / "chromium.log").open("wb")
    running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        with connect(_page_url(profile / "DevToolsActivePort"), max_size=None) as socket:
            yield Page(socket)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(LIMIT_S)
        log.close()


def _page_url(port_file: Path) -> str:
    limit = time.monotonic() + LIMIT_S
    while not port_file.exists() or not port_file.read_text().strip():
        assert time.monotonic() < limit, "Chromium does not come up"
        time.sleep(0.02)
    port = port_file.read_text().split()[0]
    with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
        pages = [each for each in json.load(answer) if each["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])
