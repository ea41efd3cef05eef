"""Builds the ``session.start`` message of OpenAI Live from the options of a call."""

from __future__ import annotations

from typing import Any

from tui.protocols.base import CallerSettings, check_formats
from tui.protocols.openai_live import wire
from tui.protocols.options import check_choice, read_object, read_tools

_OPTIONS = {
    "model": "gpt-live-1.1",
    "instructions": "",
    "voice": "",
    "greeting": "",
    "delegation": "",
    "delegation_model": "gpt-5.4-mini",
    "result": "commentary",
    "tools": "",
    "session": "",
}
_CHOICES = {"delegation": ("", "client", "responses"), "result": ("commentary", "thinking")}


class LiveOptions:
    """The options of one call. Raises `ValueError` with an explanation for unknown or invalid options."""

    def __init__(self, settings: CallerSettings) -> None:
        settings.check_options("OpenAI Live", _OPTIONS)
        check_formats("OpenAI Live", settings.formats, wire.FORMATS)
        self._chosen = {**_OPTIONS, **settings.options}
        for name, known in _CHOICES.items():
            check_choice(name, self._chosen[name], known, " or ".join(filter(None, known)))
        self.media = settings.formats[0] if settings.formats else wire.DEFAULT_FORMAT
        self._tools = read_tools(self._chosen)
        self._extra = read_object("session", self._chosen, "session fields")

    @property
    def greeting(self) -> str:
        """What the agent is asked to say first; "" lets the agent decide."""
        return self._chosen["greeting"]

    @property
    def appends_result(self) -> str:
        """How the result of a delegated task is returned: ``commentary`` (spoken) or ``thinking`` (silent)."""
        return self._chosen["result"]

    @property
    def delegation(self) -> str:
        """Who handles tasks, ``client`` or ``responses``. The default is ``responses`` if tools are offered."""
        extra = self._extra.get("delegation")
        if isinstance(extra, dict) and isinstance(extra.get("type"), str):
            return str(extra["type"])
        return self._chosen["delegation"] or ("responses" if self._tools else "client")

    @property
    def task_tool(self) -> str:
        """Name of the first tool, which handles tasks delegated to the client; "" if there are no tools."""
        return str(self._tools[0].get("name", "")) if self._tools else ""

    def session(self) -> dict[str, Any]:
        """Returns the ``session`` of the message. Leaves out unset options, which the service might refuse."""
        chosen, audio = self._chosen, {"format": wire.format_member(self.media)}
        session: dict[str, Any] = {"model": chosen["model"]}
        if chosen["instructions"]:
            session["instructions"] = chosen["instructions"]
        session["audio"] = {**audio, "output": {"voice": chosen["voice"]}} if chosen["voice"] else audio
        if self._tools or chosen["delegation"]:
            session["delegation"] = self._delegation_member()
        session.update(self._extra)
        return session

    def _delegation_member(self) -> dict[str, Any]:
        if self.delegation == "client":
            return {"type": "client"}
        responses: dict[str, Any] = {"model": self._chosen["delegation_model"]}
        if self._tools:
            responses["tools"] = self._tools
        return {"type": "responses", "responses": responses}
