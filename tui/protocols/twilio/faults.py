"""Findings about the far side of a Twilio stream: a fault in every message is reported once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import Finding, ProtocolError
from tui.protocols.json_frames import Members, Message, cut
from tui.protocols.twilio.wire import TwilioMessage

_MAX_FAULTS_REPORTED = 200
_SERVER_MEMBERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "media": {"media": ("payload",)},
    "mark": {"mark": ("name",)},
    "clear": {},
}
_VIOLATIONS = frozenset(
    {
        "extra-member",
        "foreign-spelling",
        "missing-member",
        "missing-stream-sid",
        "twilios-own-message",
        "unknown-type",
        "wrong-stream-sid",
        "wrong-type-member",
    }
)
_WARNINGS = {
    "31950": "Twilio warning 31950: a message cannot be decoded; only JSON text frames are allowed.",
    "31951": "Twilio warning 31951: messages violate the protocol; see the other findings.",
}


class Faults:
    """Reports each fault of the far side once per stream."""

    def __init__(self) -> None:
        self._reported: set[str] = set()

    def report(self, message: Members, rule: str, text: str) -> None:
        """Reports a fault, unless it was reported before."""
        if self.is_new(text):
            message.find(rule, text)

    def advise(self, message: Members, rule: str, text: str) -> None:
        """Gives advice, unless it was given before."""
        if self.is_new(text):
            message.advise(rule, text)

    def is_new(self, fault: str) -> bool:
        """Returns whether the fault is new; it counts as reported from now on."""
        if fault in self._reported or len(self._reported) >= _MAX_FAULTS_REPORTED:
            return False
        self._reported.add(fault)
        return True

    def report_spellings(self, message: TwilioMessage) -> None:
        """Reports names that Twilio spells differently."""
        for name, due in message.respelt.items():
            self.report(
                message, "foreign-spelling", f"{name} is another vendor's spelling; Twilio's is {due}."
            )


class ServerFaults(Faults):
    """Reports the faults of a server, with the warnings that Twilio logs for them."""

    def __init__(self, stream_sid: str) -> None:
        super().__init__()
        self._stream_sid = stream_sid

    def check_members(self, message: TwilioMessage) -> None:
        """Reports extra members, other spellings, and a wrong streamSid of a known message."""
        kind = message.kind()
        self.report_spellings(message)
        self._check_stream_sid(message)
        due = _SERVER_MEMBERS.get(kind)
        if due is None:
            return
        self._report_extra(message, message.body, {"event", "streamSid", *due}, kind)
        for name, members in due.items():
            inside = message.body.get(name)
            if isinstance(inside, dict):
                self._report_extra(message, inside, members, f"{kind}.{name}")

    def warn(self, message: Message) -> None:
        """Adds Twilio's warning if the message has findings for which Twilio logs one."""
        if any(finding.rule in _VIOLATIONS for finding in message.findings):
            self.report(message, "31951", _WARNINGS["31951"])

    def warned(self, error: ProtocolError) -> ProtocolError:
        """Returns the error of an unreadable message, with Twilio's warning added."""
        code = "31950" if error.code == "binary" else "31951"
        findings = (Finding(code, _WARNINGS[code]),) if self.is_new(_WARNINGS[code]) else ()
        return ProtocolError(error.code, str(error), findings)

    def _check_stream_sid(self, message: Message) -> None:
        kind, stream_sid = message.kind(), message.body.get("streamSid")
        if stream_sid is None:
            text = f"{kind} has no streamSid; it must be the one in start."
            self.report(message, "missing-stream-sid", text)
        elif stream_sid != self._stream_sid:
            text = f"The streamSid of {kind} differs from the one in start."
            self.report(message, "wrong-stream-sid", text)

    def _report_extra(
        self, message: Message, body: Mapping[str, Any], due: set[str] | tuple[str, ...], where: str
    ) -> None:
        for name in body:
            if name not in due:
                text = f"{cut(name, 60)} is not a member of {where} in messages from a server."
                self.report(message, "extra-member", text)
