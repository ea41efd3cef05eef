"""Drawn: a base class for widgets that draw their own lines many times a second."""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Region
from textual.style import Style as VisualStyle
from textual.widget import Widget


class Drawn(Widget):
    """Caches the styles that the widget draws with, and repaints regions without messages.

    Use it as a base class, or as a mixin that is listed after the widget class.
    """

    _kept_styles: dict[tuple[str, str], Style] | None = None

    def component(self, name: str, highlight: str = "") -> Style:
        """Returns the style of a component class, on the background of ``highlight``, if given.

        The style is cached, because Textual discards it at each `refresh` and needs 0.1 ms to compute it.
        """
        style = self._kept.get((name, highlight))
        if style is None:
            style = self.get_component_rich_style(name)
            if highlight:
                style += self.get_component_rich_style(highlight, partial=True)
            self._kept[name, highlight] = style
        return style

    def look(self, style: str) -> Style:
        """Returns a style that is written like ``bold $text-error``, for text in this widget."""
        kept = self._kept.get(("", style))
        if kept is None:
            kept = self._kept["", style] = (self.visual_style + VisualStyle.parse(style)).rich_style
        return kept

    def repaint(self, *regions: Region) -> None:
        """Repaints the given regions of the content in the next frame; without regions, the whole widget.

        Textual's `refresh` would need three messages through two queues, and would discard computed sizes and
        styles.
        """
        if not self._is_mounted or self._closing:
            self.refresh(*regions)
        elif self.display:
            self._set_dirty(*regions)
            self.screen._dirty_widgets.add(self)  # noqa: SLF001 - what the last of the messages does
            self.screen.check_idle()

    def notify_style_update(self) -> None:
        """Discards the cached styles. Textual calls this when the theme, focus or hover state changes."""
        self._kept_styles = None
        super().notify_style_update()

    @property
    def _kept(self) -> dict[tuple[str, str], Style]:
        if self._kept_styles is None:
            self._kept_styles = {}
        return self._kept_styles
