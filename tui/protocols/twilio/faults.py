"""Findings about the user's server, with the warnings that Twilio logs for them."""

from __future__ import annotations

from tui.protocols.base import Finding, ProtocolError
from tui.protocols.telephony.faults import StreamFaults
from tui.protocols.telephony.message import StreamMessage

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


class TwilioFaults(StreamFaults):
    """Reports faults of the user's server, with the warnings that Twilio logs for them."""

    def warn(self, message: StreamMessage) -> None:
        """Adds Twilio's warning, if Twilio logs one for the message's findings."""
        if any(finding.rule in _VIOLATIONS for finding in message.findings):
            self.report(message, "31951", _WARNINGS["31951"])

    def warned(self, error: ProtocolError) -> ProtocolError:
        """Returns the error for an unreadable message, with Twilio's warning."""
        code = "31950" if error.code == "binary" else "31951"
        findings = (Finding(code, _WARNINGS[code]),) if self.is_new(_WARNINGS[code]) else ()
        return ProtocolError(error.code, str(error), findings)
