"""SIDs, the ids of all Twilio objects: two capital letters followed by 32 lower-case hex digits."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

from tui.protocols.base import NewId
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.dialect import Check

_SID = re.compile(r"[A-Z]{2}[a-f0-9]{32}")
_HEX_ID = re.compile(r"[a-f0-9]{32}")


def new_sid(prefix: str) -> Callable[[NewId], str]:
    """Returns a function that converts an id to a SID with this prefix. Keeps hex digits if the id has 32."""

    def make(new_id: NewId) -> str:
        made = new_id()
        digits = made.replace("-", "").lower()
        return prefix + (digits if _HEX_ID.fullmatch(digits) else sha256(made.encode()).hexdigest()[:32])

    return make


def is_sid(prefix: str) -> Check:
    """Returns a check for an option whose value must be a SID with this prefix."""
    due = f"{prefix} followed by 32 lower-case hex digits"
    return lambda value: "" if _SID.fullmatch(value) and value.startswith(prefix) else due


def check_sids(message: Members, start: Members) -> None:
    """Reports malformed SIDs, and different SIDs for the same stream."""
    for name in ("streamSid", "accountSid", "callSid"):
        sid = start.body.get(name)
        if isinstance(sid, str) and sid and not _SID.fullmatch(sid):
            text = f"{name} is {cut(sid, 60)}; expected two capital letters and 32 lower-case hex digits."
            start.find("bad-sid", text)
    inner, outer = start.body.get("streamSid"), message.body.get("streamSid")
    if isinstance(inner, str) and inner and outer is not None and inner != outer:
        start.find("wrong-stream-sid", "“start” contains two different values of “streamSid”.")
