"""Elements of HTML: every text and every value is escaped, and made visible, on its way in."""

from __future__ import annotations

from html import escape

from tui.text.visible import visible


class Markup(str):
    """What is HTML already."""

    __slots__ = ()


Child = Markup | str | None


def element(name: str, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """One element that has an end. Underscores in names of attributes are dashes, one at the end is left out.

    An attribute that is None or False is left out, one that is True has no value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    content = "".join(map(text, children))
    return Markup(f"<{name}{written}>{content}</{name}>")


def together(*children: Child) -> Markup:
    """One after the other."""
    return Markup("".join(map(text, children)))


def text(child: Child) -> Markup:
    """A text as HTML; Markup as it is."""
    if child is None:
        return Markup()
    return child if isinstance(child, Markup) else Markup(escape(visible(child)))


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(str(value)))}"'
