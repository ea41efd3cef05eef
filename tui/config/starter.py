"""The settings file that ``config --init`` writes: every setting commented out, with its default or an example."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import inspect

from tui.config.model import SECTIONS, SessionsSettings
from tui.protocols.registry import BUILT_IN
from tui.settings import SETTINGS, Scope, Setting

_WIDTH = 110
_HEAD = """\
# Settings of opusagent-tui. Everything here is optional; each comment shows a default or an example.
# Command-line options override environment variables (OPUSAGENT_TUI_<SECTION>_<SETTING>, for example
# OPUSAGENT_TUI_SESSIONS_KEEP_DAYS), which override this file.
# `opusagent-tui config` shows the effective settings and where each comes from.
"""
_KEYS = """
[keys]                  # action = key, or a list of keys; `opusagent-tui config --keys` lists the actions
# filter = "ctrl+f"
# mark = ["f6", "ctrl+b"]
"""


_ABOUT = {
    "[thresholds]": "what counts as a good (green), slow (amber) or bad (red) response, and as a backchannel",
    "[sessions]": "how calls are saved",
    "[sound]": "the sound system of this machine",
    "[speech]": "speech synthesis and speech recognition (the `speech` extra)",
    "[target]": "settings for every call, unless a profile overrides them; any setting below except url is allowed",
    "# [profiles.staging]": "opusagent-tui connect staging",
}
_URL = (
    "url",
    '"wss://agent.example.com/voice?key=${STAGING_KEY}"',
    "${NAME} is an environment variable.",
)


def starter_file() -> str:
    """Returns the text of the file."""
    in_sessions = SessionsSettings.__struct_fields__
    for_every_call: list[tuple[str, str, str]] = []
    for_one = [_URL]
    for setting in SETTINGS.values():
        one = setting.scope is Scope.TARGET or setting.name in in_sessions
        (for_one if one else for_every_call).append(_entry(setting))
    sections = {f"[{name}]": list(_entries_of(kind)) for name, kind in SECTIONS.items()}
    sections |= {"[target]": for_every_call, "# [profiles.staging]": for_one}
    lines = (line for heading, entries in sections.items() for line in _section(heading, entries))
    return "".join((_HEAD, *lines, _KEYS))


def _section(heading: str, entries: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    comment = _ABOUT.get(heading)
    yield f"\n{heading:22}  # {comment}\n" if comment else f"\n{heading}\n"
    yield from _lines(entries)


def _lines(entries: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    for name, value, help_text in entries:
        line = f"# {name} = {value}"
        comment = f"{line:38}  # {help_text}"
        if len(comment) > _WIDTH:
            yield textwrap.fill(help_text, _WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"
            comment = line
        yield f"{comment}\n"


def _entry(setting: Setting) -> tuple[str, str, str]:
    help_text = (setting.file_help or setting.help).format(protocols=", ".join(BUILT_IN))
    return setting.name, setting.example or _toml(setting.default), help_text


def _entries_of(section: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    for field in inspect.type_info(section).fields:  # type: ignore[attr-defined]
        about = field.type.extra_json_schema
        value = about["examples"][0] if "examples" in about else field.default
        yield field.name, _toml(value), about["description"]


def _toml(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
