"""Pending: tracks the operations that are still due in a call.

The operations that are due determine how the call ends and how long a headless call waits.
"""

from __future__ import annotations

from typing import NamedTuple

from tui.models import events as e


class UnansweredTool(NamedTuple):
    """A tool whose result was sent to the agent and has not been answered."""

    name: str
    ended_ns: int


class Pending:
    """Tracks operations that have begun and have not ended.

    Runs on the session's loop. Each event takes constant time. ``replies_are_ended`` states whether the agent
    marks the end of each reply; otherwise, `replies` is always empty.
    """

    def __init__(self, *, replies_are_ended: bool) -> None:
        self.replies_are_ended = replies_are_ended
        self._replies: dict[str, None] = {}
        self._tools: dict[str, str] = {}
        self.line = ""
        """Name of the recorded line that is playing; empty if none is."""
        self.lines_left = 0
        """Number of script lines that have yet to begin; set by the owner of the script."""
        self.answer_due = ""
        """Name of the script line that the agent has yet to answer; set by the owner of the script."""
        self.results_are_answered = True
        """Whether the agent has to answer the result of a tool."""
        self.unanswered_tool: UnansweredTool | None = None
        """The last tool whose result was sent, until the agent begins a reply or sends text."""
        self.resuming = False
        """Whether the socket was lost and the session is being resumed."""

    def apply(self, event: e.SessionEvent) -> None:
        """Applies one event."""
        match event:
            case e.MessageLogged():
                return  # checked first, because nearly every event is one of these
            case e.ReplyStarted():
                self._replies[event.reply] = None
                self.answer_due, self.unanswered_tool = "", None
            case e.Transcribed(speaker=e.Party.AGENT):
                self.answer_due, self.unanswered_tool = "", None
            case e.ReplyEnded() | e.PlaybackEnded():
                # If the agent has not ended the reply, its playback is over only if it was cut off.
                self._replies.pop(event.reply, None)
            case e.LineChanged():
                self.line = "" if event.finished else event.name
            case e.ToolChanged() if event.finished:
                self._tools.pop(event.call, None)
                if self.owes_answer(event):
                    self.unanswered_tool = UnansweredTool(event.name, event.at_ns)
            case e.ToolChanged():
                self._tools[event.call] = event.name
            case e.StatusChanged():
                self.resuming = event.new is e.Status.RESUMING

    def owes_answer(self, event: e.ToolChanged) -> bool:
        """Returns whether the agent has to answer the tool's result that the event reports.

        A tool call without an id does not request a result.
        """
        return event.finished and bool(event.call) and not event.withdrawn and self.results_are_answered

    @property
    def replies(self) -> list[str]:
        """Replies that the agent has begun and not ended.

        Always empty if the agent does not mark the end of replies.
        """
        return list(self._replies) if self.replies_are_ended else []

    @property
    def tools(self) -> list[str]:
        """Names of the running tools, in the order in which they started."""
        return list(self._tools.values())

    def in_words(self) -> list[str]:
        """Returns a phrase for each operation that is due."""
        replies, lines = len(self.replies), self.lines_left
        return [
            *(
                ["an unfinished reply" if replies == 1 else f"{replies} unfinished replies"]
                if replies
                else []
            ),
            *([f"{self.line} being spoken"] if self.line else []),
            *([f"{self.answer_due} unanswered"] if self.answer_due and not self.line else []),
            *(["one line not spoken" if lines == 1 else f"{lines} lines not spoken"] if lines else []),
            *(f"the tool {name} still running" for name in self.tools),
            *(["the resumption of the session still pending"] if self.resuming else []),
        ]
