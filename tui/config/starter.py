"""The settings file that ``config --init`` writes: every setting commented out, with its default or an example."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import inspect

from tui.config.model import ScreenSettings, SessionsSettings, SoundSettings, SpeechSettings, Thresholds
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


def starter_file() -> str:
    """Returns the text of the file."""
    in_sessions = {field.name for field in msgspec.structs.fields(SessionsSettings)}
    for_every_call = [
        setting
        for setting in SETTINGS.values()
        if setting.scope is not Scope.TARGET and setting.name not in in_sessions
    ]
    for_one = [setting for setting in SETTINGS.values() if setting not in for_every_call]
    return "".join(
        (
            _HEAD,
            _section(
                "[thresholds]",
                "what counts as a good (green), slow (amber) or bad (red) response, and as a backchannel",
            ),
            *_lines(_entries_of(Thresholds)),
            _section("[screen]", ""),
            *_lines(_entries_of(ScreenSettings)),
            _section("[sessions]", "how calls are saved"),
            *_lines(_entries_of(SessionsSettings)),
            _section("[sound]", "the sound system of this machine"),
            *_lines(_entries_of(SoundSettings)),
            _section("[speech]", "speech synthesis and speech recognition (the `speech` extra)"),
            *_lines(_entries_of(SpeechSettings)),
            _section(
                "[target]",
                "settings for every call, unless a profile overrides them; any setting below except url is allowed",
            ),
            *_lines(map(_entry, for_every_call)),
            _section("# [profiles.staging]", "opusagent-tui connect staging"),
            *_lines(
                [
                    (
                        "url",
                        '"wss://agent.example.com/voice?key=${STAGING_KEY}"',
                        "${NAME} is an environment variable.",
                    )
                ]
            ),
            *_lines(map(_entry, for_one)),
            _KEYS,
        )
    )


def _section(heading: str, comment: str) -> str:
    return f"\n{heading:22}  # {comment}\n" if comment else f"\n{heading}\n"


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
        kind = field.type
        if isinstance(kind, inspect.UnionType):
            kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
        about = kind.extra_json_schema
        value = about["examples"][0] if "examples" in about else field.default
        yield field.name, _toml(value), about["description"]


def _toml(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
