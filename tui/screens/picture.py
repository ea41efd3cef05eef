"""Saves pictures of the screen as SVG and as text."""

from __future__ import annotations

import html
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.app import App

from tui.files import write_new

_TEXT = re.compile(r'<text [^>]*?x="([\d.]+)"[^>]*?clip-path="url\(#[^"]*-line-(\d+)\)"[^>]*>([^<]*)</text>')
"""Matches a piece of text in Rich's SVG: its x position, its line and its content."""
_CELL_WIDTH = 12.2
"""Width of a cell in Rich's SVG."""


def save_picture(app: App[Any], folder: Path) -> Path:
    """Saves the screen as an SVG file in ``folder``, and its text as a ``.txt`` file next to it.

    Returns the path of the SVG file. Raises `OSError`.
    """
    name = f"opusagent-tui {datetime.now():%Y-%m-%d %H-%M-%S}"
    path, number = folder / f"{name}.svg", 1
    while path.exists():
        number += 1
        path = folder / f"{name} ({number}).svg"
    svg = app.export_screenshot(title="opusagent-tui", simplify=True)
    write_new(path, svg.encode())
    write_new(path.with_suffix(".txt"), text_in(svg).encode())
    return path


def text_in(svg: str) -> str:
    """Returns the text of a screen saved as SVG, line by line, without trailing blanks."""
    lines: dict[int, str] = {}
    for x, line, text in _TEXT.findall(svg):
        before, start = lines.get(int(line), ""), round(float(x) / _CELL_WIDTH)
        piece = html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")
        lines[int(line)] = before + " " * (start - cell_len(before)) + piece
    height = max(lines, default=-1) + 1
    return "".join(f"{lines.get(number, '').rstrip()}\n" for number in range(height))
