"""EventTree: JSON as lines that open and close. Children are made into lines when their parent is opened.

What is closed costs nothing, whatever its size: an open node knows how many children it has and which of them are
open too. So a line is found by walking down, and an array of 100,000 elements opens at once.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tui.models.message.json import Path, child_at, children_of

OPENED_LINES = 200
"""Up to so many lines are open from the start."""
OPENED_CHILDREN = 100
"""What has more children than this is opened by the reader."""

Fits = Callable[[Path, str], bool]
"""Whether a text can be read whole beside its name."""
BreakText = Callable[[Path, str], Sequence[str]]
"""The lines of an opened text, made when they are asked for."""


class TreeLine(NamedTuple):
    """One line of the tree."""

    path: Path
    value: object
    opened: bool | None
    """None: there is nothing to open."""
    text: str | None = None
    """In an opened text, which is ``value``: the line of it that stands here."""

    @property
    def depth(self) -> int:
        """How far to the right it stands."""
        return max(len(self.path) - 1, 0) + (self.text is not None)


class _Node:
    """What is open: an object or array and those of its children that are open, or a text."""

    __slots__ = ("lines", "nodes", "open_children", "parent", "path", "place", "size", "value")

    def __init__(self, value: object, path: Path = (), parent: _Node | None = None, place: int = 0) -> None:
        self.value, self.path, self.parent, self.place = value, path, parent, place
        self.lines: Sequence[str] | None = None
        self.nodes: dict[int, _Node] = {}
        self.open_children: list[int] = []
        self.size = len(children_of(value))
        """Lines below its own."""

    def grow(self, by: int) -> None:
        """There are more lines below, or fewer."""
        node: _Node | None = self
        while node is not None:
            node.size += by
            node = node.parent


class EventTree:
    """The lines of one JSON value; what of a text fits is for the panel to say, which has a width."""

    def __init__(self, value: object, fits: Fits, break_text: BreakText) -> None:
        self._fits, self._break_text = fits, break_text
        self._bare = not children_of(value)
        self._root = _Node([value] if self._bare else value)

    def __len__(self) -> int:
        return self._root.size

    def line(self, index: int) -> TreeLine:
        """What stands in a line. Raises IndexError beyond the last."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        node, place = self._find(index)
        if node.lines is not None:
            return TreeLine(node.path, node.value, None, node.lines[place])
        path, value = self._child(node, place)
        opened = place in node.nodes
        return TreeLine(path, value, opened if opened or self._can_open(path, value) else None)

    def parent(self, index: int) -> int:
        """The line of what this line is in; the line itself at the top."""
        node, _ = self._find(index)
        return index if node.parent is None else self._position(node.parent, node.place)

    def toggle(self, index: int) -> bool:
        """Open or close a line; whether there was anything to open or close."""
        node, place = self._find(index)
        if node.lines is not None:
            return False
        if place in node.nodes:
            node.open_children.remove(place)
            node.grow(-node.nodes.pop(place).size)
            return True
        return self._open(node, place) is not None

    def open_some(self, wanted: Callable[[object], bool]) -> None:
        """Open what is ``wanted``, from the outside in, as long as there are no more than `OPENED_LINES`."""
        waiting = deque([self._root])
        while waiting:
            node = waiting.popleft()
            for place in range(min(len(children_of(node.value)), OPENED_CHILDREN)):
                _, value = child_at(node.value, place)
                if len(children_of(value)) <= OPENED_CHILDREN and wanted(value):
                    opened = self._open(node, place, OPENED_LINES - len(self))
                    if opened is not None:
                        waiting.append(opened)

    def reflow(self) -> None:
        """Lines are of another width: break opened texts anew."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            waiting += node.nodes.values()
            if node.lines is not None:
                before = len(node.lines)
                node.lines = self._break_text(node.path, str(node.value))
                node.grow(len(node.lines) - before)

    def _open(self, node: _Node, place: int, at_most: int | None = None) -> _Node | None:
        path, value = self._child(node, place)
        opened = _Node(value, path, node, place)
        if type(value) is str and not self._fits(path, value):
            opened.lines = self._break_text(path, value)
            opened.size = len(opened.lines)
        if not opened.size or (at_most is not None and opened.size > at_most):
            return None
        node.nodes[place] = opened
        insort(node.open_children, place)
        node.grow(opened.size)
        return opened

    def _can_open(self, path: Path, value: object) -> bool:
        if type(value) is str:
            return not self._fits(path, value)
        return bool(children_of(value))

    def _child(self, node: _Node, place: int) -> tuple[Path, object]:
        key, value = child_at(node.value, place)
        return () if self._bare else (*node.path, key), value

    def _find(self, index: int) -> tuple[_Node, int]:
        """The open node that a line is in, and its place there: that of a child, or of a line of text."""
        node = self._root
        while True:
            inner, index = _below(node, index)
            if inner is None:
                return node, index
            node = inner

    def _position(self, node: _Node, place: int) -> int:
        """The line of a child."""
        position = _lines_before(node, place)
        while node.parent is not None:
            position += 1 + _lines_before(node.parent, node.place)
            node = node.parent
        return position


def _lines_before(node: _Node, place: int) -> int:
    """How many lines of a node are above this child of it."""
    return place + sum(node.nodes[child].size for child in node.open_children if child < place)


def _below(node: _Node, index: int) -> tuple[_Node | None, int]:
    """The open child whose lines this line is among, and where among them; or None, and the place of the child."""
    before = 0
    for child in node.open_children:
        if index <= child + before:
            break
        opened = node.nodes[child]
        if index <= child + before + opened.size:
            return opened, index - child - before - 1
        before += opened.size
    return None, index - before
