"""EventTree: JSON as lines that can be opened and closed.

Only the children of opened values are lines, so a closed value of any size costs nothing. An open node stores
the number of its children and which children are open. A line is found by walking down the tree. An array of
100,000 elements therefore opens immediately.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tui.models.message.json import Path, child_at, children_of

OPENED_LINES = 200
"""Maximum number of lines that are opened at the start."""
OPENED_CHILDREN = 100
"""A value with more children than this is not opened at the start."""

Fits = Callable[[Path, str], bool]
"""Returns whether a string fits on the line next to its name."""
BreakText = Callable[[Path, str], Sequence[str]]
"""Returns the wrapped lines of an opened text."""


class TreeLine(NamedTuple):
    """One line of the tree."""

    path: Path
    value: object
    opened: bool | None
    """None if there is nothing to open."""
    text: str | None = None
    """One line of the opened text ``value``; None for a line that shows a value."""

    @property
    def depth(self) -> int:
        """Level of indentation."""
        return max(len(self.path) - 1, 0) + (self.text is not None)


class _Node:
    """An open value: an object or array with its open children, or a string."""

    __slots__ = ("lines", "nodes", "open_children", "parent", "path", "place", "size", "value")

    def __init__(self, value: object, path: Path = (), parent: _Node | None = None, place: int = 0) -> None:
        self.value, self.path, self.parent, self.place = value, path, parent, place
        self.lines: Sequence[str] | None = None
        self.nodes: dict[int, _Node] = {}
        self.open_children: list[int] = []
        self.size = len(children_of(value))
        """Number of lines below the node's own line."""

    def grow(self, by: int) -> None:
        """Changes the number of lines below this node and below all its parents."""
        node: _Node | None = self
        while node is not None:
            node.size += by
            node = node.parent


class EventTree:
    """The lines of one JSON value.

    The panel supplies ``fits`` and ``break_text``, because only the panel knows its width.
    """

    def __init__(self, value: object, fits: Fits, break_text: BreakText) -> None:
        self._fits, self._break_text = fits, break_text
        self._bare = not children_of(value)
        self._root = _Node([value] if self._bare else value)

    def __len__(self) -> int:
        return self._root.size

    def line(self, index: int) -> TreeLine:
        """Returns a line. Raises IndexError beyond the last line."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        node, place = self._find(index)
        if node.lines is not None:
            return TreeLine(node.path, node.value, None, node.lines[place])
        path, value = self._child(node, place)
        opened = place in node.nodes
        return TreeLine(path, value, opened if opened or self._can_open(path, value) else None)

    def parent(self, index: int) -> int:
        """Returns the index of the parent's line; ``index`` itself at the top level."""
        node, _ = self._find(index)
        return index if node.parent is None else self._position(node.parent, node.place)

    def toggle(self, index: int) -> bool:
        """Opens or closes the value on a line. Returns False if there is nothing to open or close."""
        node, place = self._find(index)
        if node.lines is not None:
            return False
        if place in node.nodes:
            node.open_children.remove(place)
            node.grow(-node.nodes.pop(place).size)
            return True
        return self._open(node, place) is not None

    def open_some(self, wanted: Callable[[object], bool]) -> None:
        """Opens the values for which ``wanted`` returns true, outermost first, up to `OPENED_LINES`."""
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
        """Wraps opened strings to a new width."""
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
        """Returns the open node that contains a line, and the position in it of the line's child or text."""
        node = self._root
        while True:
            inner, index = _below(node, index)
            if inner is None:
                return node, index
            node = inner

    def _position(self, node: _Node, place: int) -> int:
        """Returns the index of a child's line."""
        position = _lines_before(node, place)
        while node.parent is not None:
            position += 1 + _lines_before(node.parent, node.place)
            node = node.parent
        return position


def _lines_before(node: _Node, place: int) -> int:
    """Returns how many of the node's lines are above a child."""
    return place + sum(node.nodes[child].size for child in node.open_children if child < place)


def _below(node: _Node, index: int) -> tuple[_Node | None, int]:
    """Returns the open child that contains a line, and the position of the line in that child.

    If the line shows a child itself, returns None and the position of the child.
    """
    before = 0
    for child in node.open_children:
        if index <= child + before:
            break
        opened = node.nodes[child]
        if index <= child + before + opened.size:
            return opened, index - child - before - 1
        before += opened.size
    return None, index - before
