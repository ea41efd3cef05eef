"""Findings about the far side of a telephony stream. Each fault is reported once per stream."""

from __future__ import annotations

from tui.audio.formats import AudioFormat
from tui.protocols.base import ProtocolError
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.dialect import TelephonyDialect
from tui.protocols.telephony.message import StreamMessage
from tui.protocols.telephony.samples import ends_loud

_MAX_FAULTS_REPORTED = 200


class Faults:
    """Reports faults of the far side, each once per stream."""

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._reported: set[str] = set()

    def report(self, message: Members, rule: str, text: str) -> None:
        """Adds a finding to ``message``, unless this fault has been reported before."""
        if self.is_new(text):
            message.find(rule, text)

    def advise(self, message: Members, rule: str, text: str) -> None:
        """Adds advice to ``message``, unless it has been given before."""
        if self.is_new(text):
            message.advise(rule, text)

    def check_end(self, message: Members, audio: bytes, audio_format: AudioFormat) -> None:
        """Gives advice if the audio is padded with bytes that are loud in its format."""
        if ends_loud(audio, audio_format):
            text = "The audio ends in 0x00 or 0x80, which is full scale in mu-law; mu-law silence is 0xFF."
            self.advise(message, "loud-silence", text)

    def is_new(self, fault: str) -> bool:
        """Returns whether the fault has not been reported yet, and counts it as reported."""
        if fault in self._reported or len(self._reported) >= _MAX_FAULTS_REPORTED:
            return False
        self._reported.add(fault)
        return True

    def report_spellings(self, message: StreamMessage) -> None:
        """Reports names that this vendor spells differently."""
        for name, due in message.respelt.items():
            text = f"{name} is another vendor's spelling; {self._vendor}'s is {due}."
            self.report(message, "foreign-spelling", text)


class StreamFaults(Faults):
    """Reports faults of the user's server."""

    def __init__(self, dialect: TelephonyDialect, stream_id: str) -> None:
        super().__init__(dialect.vendor)
        self._dialect = dialect
        self._stream_id = stream_id

    def check_members(self, message: StreamMessage) -> None:
        """Reports members with wrong names, unexpected members, and a missing or wrong stream id."""
        self.report_spellings(message)
        self._check_stream_id(message)
        kind, dialect = message.kind(), self._dialect
        due = dialect.server_members.get(kind)
        if due is None:
            return
        self._report_extra(message, message, (dialect.server_kind_member, dialect.stream_id, *due), kind)
        for name, members in due.items():
            if isinstance(message.body.get(name), dict):
                self._report_extra(message, message.inside(name), members, f"{kind}.{name}")

    def warn(self, message: StreamMessage) -> None:
        """Adds the warnings that the provider would log for the message's findings."""

    def warned(self, error: ProtocolError) -> ProtocolError:
        """Returns the error for an unreadable message, with the warning that the provider would log."""
        return error

    def _check_stream_id(self, message: StreamMessage) -> None:
        name, kind = self._dialect.stream_id, message.kind()
        seen = message.body.get(name) if name else None
        if seen is None and kind in self._dialect.stream_id_due:
            text = f"“{kind}” has no {name}; it must be the one in “start”."
            self.report(message, f"missing-{self._dialect.stream_id_rule}", text)
        elif seen is not None and seen != self._stream_id:
            text = f"The {name} of {kind} differs from the value in “start”."
            self.report(message, f"wrong-{self._dialect.stream_id_rule}", text)

    def _report_extra(self, message: Members, body: Members, due: tuple[str, ...], where: str) -> None:
        for name in body.body:
            if name not in due:
                text = f"{cut(name, 60)} is not a member of {where} in messages from a server."
                self.report(message, "extra-member", text)
