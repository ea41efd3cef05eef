"""Negotiates the audio format of a call: the caller offers formats, and the agent accepts one."""

from __future__ import annotations

from collections.abc import Sequence

from tui.audio.formats import AudioFormat
from tui.protocols.audiocodes import wire
from tui.protocols.base import check_formats
from tui.protocols.json_frames import Message, cut


class Offer:
    """The audio formats that were offered, and the format that was accepted.

    Raises `ValueError` for unknown names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        check_formats("AudioCodes", names, wire.FORMATS)
        self.names = tuple(names) or wire.DEFAULT_OFFER
        self.agreed = ""
        """The format of the user's audio; empty before the agent has accepted."""

    @property
    def user_format(self) -> AudioFormat | None:
        """The accepted format; None before the agent has accepted a format."""
        return wire.FORMATS.get(self.agreed)

    @property
    def assumed(self) -> str:
        """The name of the format to assume if the agent names no known format."""
        return self.agreed or self.names[0]

    def accepted(self, message: Message) -> str:
        """Returns the name of the format in ``session.accepted``, which may be unknown.

        If the message names no format, returns the format agreed earlier or, without such a format, the first
        offer.
        """
        media = message.text("mediaFormat").lower()
        if not media and self.agreed:
            return self.agreed
        if not media:
            text = f"“session.accepted” has no mediaFormat; {self.names[0]} is assumed."
            message.find("missing-member", text)
            return self.names[0]
        self._check_offered(message, media)
        return media

    def of_reply(self, message: Message) -> str:
        """Returns the name of the format in ``playStream.start``; if there is none, the format to assume."""
        media = message.text("mediaFormat", required=True).lower()
        if media in wire.FORMATS:
            self._check_offered(message, media)
            return media
        if media:
            text = f"The protocol defines no format {cut(media, 60)}; {self.assumed} is assumed."
            message.find("unknown-format", text)
        return self.assumed

    def _check_offered(self, message: Message, media: str) -> None:
        if media not in self.names:
            text = f"{cut(media, 60)} was not offered; the offer was {', '.join(self.names)}."
            message.find("format-not-offered", text)
