"""The program's own themes. To add a theme, list it in `THEMES` and `OFFERED`.

If ``NO_COLOR`` is set, the terminal's colors are used instead.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

from tui.text.strict import SettingsError, did_you_mean, quoted

THEMES = (
    Theme(
        name="opus-dark",
        dark=True,
        background="#0d1117",
        surface="#151b23",
        panel="#1f2630",
        foreground="#d5dde6",
        primary="#6cb6ff",
        secondary="#c59bf5",
        accent="#56d4dd",
        success="#57ab5a",
        warning="#e0a83a",
        error="#f0615a",
        variables={
            "border": "#6cb6ff",
            "foreground-muted": "#94a1af",
            "text-disabled": "#94a1af",
            "border-blurred": "#37424f",
            "block-cursor-background": "#1d3653",
            "block-cursor-foreground": "#f0f6fc",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#1f2630",
            "block-cursor-blurred-foreground": "#d5dde6",
            "block-cursor-blurred-text-style": "none",
            "surface-lighten-2": "#1f2630",
            "footer-background": "#151b23",
            "footer-key-foreground": "#6cb6ff",
            "footer-description-foreground": "#9aa7b5",
            "error-muted": "#4a1f22",
            "scrollbar": "#5d6b7a",
            "scrollbar-background": "#0d1117",
            "scrollbar-background-hover": "#0d1117",
            "scrollbar-background-active": "#0d1117",
        },
    ),
    Theme(
        name="opus-light",
        dark=False,
        background="#fbfcfd",
        surface="#eef1f4",
        panel="#e1e6ec",
        foreground="#1f2933",
        primary="#0757ba",
        secondary="#7a35b8",
        accent="#0b6a75",
        success="#17722f",
        warning="#8f5b00",
        error="#c4202b",
        variables={
            "border": "#0757ba",
            "foreground-muted": "#566270",
            "text-disabled": "#566270",
            "border-blurred": "#c3ccd6",
            "block-cursor-background": "#cfe2fb",
            "block-cursor-foreground": "#0b1f36",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#e1e6ec",
            "block-cursor-blurred-foreground": "#1f2933",
            "block-cursor-blurred-text-style": "none",
            "surface-lighten-2": "#e6ebf1",
            "footer-background": "#eef1f4",
            "footer-key-foreground": "#0757ba",
            "footer-description-foreground": "#4d5a68",
            "error-muted": "#fbdcdd",
            "scrollbar": "#808d9b",
            "scrollbar-background": "#fbfcfd",
            "scrollbar-background-hover": "#fbfcfd",
            "scrollbar-background-active": "#fbfcfd",
        },
    ),
)
DEFAULT_THEME = THEMES[0].name
ANSI = "ansi-dark"
OFFERED = {"opus-dark": "dark", "opus-light": "light", ANSI: "the terminal's own colors"}
"""Themes that the screen offers, all with readable text. The settings file may also name any of Textual's themes."""


def check_theme(name: str | None) -> None:
    """Raises `SettingsError` if no theme has this name."""
    known = [*(theme.name for theme in THEMES), *BUILTIN_THEMES]
    if name is not None and name not in known:
        near = did_you_mean(name, known)
        raise SettingsError(f"[screen] theme = {quoted(name)}: unknown theme{near}")
