from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.config.model import Settings
from tui.config.reading import read_settings, settings_path
from tui.models.turns.figures import Thresholds
from tui.text.strict import SettingsError

URL = 'url = "ws://h:1/x"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def problem(file: Path, text: str | bytes) -> str:
    """Returns the sentence about a file, without the path at its beginning, which is required."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as raised:
        read_settings(str(file))
    sentence = str(raised.value)
    assert sentence.startswith(str(file))
    assert len(sentence.splitlines()) == 1
    return sentence.removeprefix(str(file)).removeprefix(": ").strip()


def test_without_a_file_all_settings_are_defaults() -> None:
    in_force = read_settings()
    assert in_force.settings == Settings()
    assert not in_force.found
    assert in_force.path.name == "config.toml"


def test_a_file_is_read_completely(file: Path) -> None:
    file.write_text(
        """
        [thresholds]
        good_ms = 500
        [screen]
        theme = "opus-light"
        [sessions]
        keep_days = 30
        folder = "kept"
        [target]
        input = 3
        latency = 0.1
        [profiles.staging]
        url = "wss://h/x"
        tools = "~/tools.py"
        protocol = "./mine.py"
        options = {rate = 16000, vad = false}
        redact = ["ssn"]
        [keys]
        filter = "ctrl+f"
        mark = ["m", "f3"]
        """
    )
    in_force = read_settings(str(file))
    settings = in_force.settings
    assert settings.thresholds == Thresholds(good_ms=500)
    assert settings.screen.theme == "opus-light"
    assert (settings.sessions.keep_days, settings.sessions.folder) == (30, str(file.parent / "kept"))
    assert settings.target == {"input": 3, "latency": 0.1}
    assert settings.profiles["staging"] == {
        "url": "wss://h/x",
        "tools": str(Path("~/tools.py").expanduser()),
        "protocol": str(file.parent / "mine.py"),
        "options": {"rate": 16000, "vad": False},
        "redact": ("ssn",),
    }
    assert settings.keys == {"filter": ("ctrl+f",), "mark": ("m", "f3")}
    assert {"thresholds.good_ms", "profiles.staging.url", "keys.mark"} <= in_force.written


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[threshold]", 'unknown section "threshold"; did you mean "thresholds"?'),
        ("good_ms = 3", 'unknown section "good_ms".'),
        ("thresholds = 3", "[thresholds] must be a table of settings."),
        ("[thresholds]\ngodo_ms = 3", '[thresholds] has no setting "godo_ms"; did you mean "good_ms"?'),
        ("[thresholds]\nxyz = 3", '[thresholds] has no setting "xyz".'),
        (
            '[thresholds]\ngood_ms = "fast"',
            "[thresholds] good_ms must be a number above 0 and at most 600000.",
        ),
        ("[thresholds]\ngood_ms = true", "[thresholds] good_ms must be a number"),
        ("[thresholds]\ngood_ms = nan", "[thresholds] good_ms must be a number"),
        ("[thresholds]\ngood_ms = 2000", "[thresholds] slow_ms (1500) must be at least good_ms (2000)."),
        ("[sessions]\nkeep_days = inf", "[sessions] keep_days must be a number above 0 and at most 36500."),
        ("[sessions]\nkeep_count = 0", "[sessions] keep_count must be a whole number of at least 1."),
        ('[sessions]\naudio = "yes"', "[sessions] audio must be true or false."),
        ('[sessions]\nredact = "ssn"', "[sessions] redact must be a list of strings."),
        ("[profiles.a]\nprotocol = 'x'", "[profiles.a] needs url."),
        ("[profiles]\nurl = 'x'", "[profiles.url] must be a table of settings."),
        (f"[profiles.a]\n{URL}\nprotocl = ''", 'has no setting "protocl"; did you mean "protocol"?'),
        (
            f"[profiles.a]\n{URL}\nlatency = 3",
            '[profiles.a] latency must be one of "auto", "high", "low", or',
        ),
        (
            f"[profiles.a]\n{URL}\nblock_ms = 5",
            "[profiles.a] block_ms must be a whole number from 10 to 250.",
        ),
        (f"[profiles.a]\n{URL}\nheaders = {{A = 1}}", "[profiles.a] headers must be a table of strings."),
        (f"[profiles.a]\n{URL}\nurl = 'again'", "is not valid TOML: Cannot overwrite a value"),
        (f"[profiles.'a b']\n{URL}", '[profiles."a b"] is not a valid name'),
        ('[sessions]\nfolder = "a\\u0000b"', 'folder is not a path: "a␀b".'),
        ("[keys]\nfilter = 3", '[keys] "filter" must be a key like "ctrl+f", or a list of keys.'),
        ("[keys]\nfilter = []", '[keys] "filter" must be a key'),
        ("['[/x]\\u001b[2J']", "unknown section"),
        ("a = ", "is not valid TOML:"),
        (b"a = '\xff'", "is not valid UTF-8 at byte 5. Save it as UTF-8."),
        ("a = " + "[" * 10_000, "is not valid TOML:"),
        ("a = " + "9" * 5_000, "is not valid TOML:"),
        ("#" * 1_000_001, "is larger than 1 MB, the limit of a settings file."),
    ],
)
def test_an_invalid_setting_is_reported_with_file_and_key(
    file: Path, text: str | bytes, sentence: str
) -> None:
    assert sentence in problem(file, text)


def test_errors_show_neither_values_which_may_be_secret_nor_terminal_control(file: Path) -> None:
    headers = "headers = {Authorization = ['hunter2']}"
    assert "hunter2" not in problem(file, f"[profiles.a]\n{URL}\n{headers}")
    assert "\x1b" not in problem(file, '["\\u001b[2J"]')


@pytest.mark.parametrize("value", ["30\r", '"30"', " 30 ", "'30'\r\n", '" 30"'])
def test_a_variable_is_read_without_what_env_files_leave_around_it(
    monkeypatch: pytest.MonkeyPatch, value: str, file: Path
) -> None:
    monkeypatch.setenv("OPUSAGENT_TUI_SESSIONS_KEEP_DAYS", value)
    monkeypatch.setenv("OPUSAGENT_TUI_SESSIONS_SAVE", "true\r")
    file.write_text("[sessions]\nsave = false")
    monkeypatch.setenv("OPUSAGENT_TUI_CONFIG", f"{file}\r")
    sessions = read_settings().settings.sessions
    assert (sessions.keep_days, sessions.save) == (30, True)


def test_a_byte_order_mark_is_not_part_of_the_settings(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[thresholds]\ngood_ms = 500\n")
    assert read_settings(str(file)).settings.thresholds.good_ms == 500


def test_a_home_that_is_not_a_folder_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/dev/null")
    in_force = read_settings()
    assert (in_force.settings, in_force.found, in_force.warning) == (Settings(), False, "")
    with pytest.raises(SettingsError, match=r"^/dev/null/x\.toml: settings file not found\.$"):
        read_settings("/dev/null/x.toml")


def test_a_home_that_cannot_be_entered_is_reported_and_the_defaults_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Root may enter every folder, but cannot look up a name as long as this.
    monkeypatch.setenv("XDG_CONFIG_HOME", "/" + "x" * 300)
    in_force = read_settings()
    assert (in_force.settings, in_force.found) == (Settings(), False)
    assert in_force.warning.endswith("cannot be accessed: File name too long. The default settings are used.")


def test_an_unreadable_file_is_reported(file: Path) -> None:
    with pytest.raises(SettingsError, match="settings file not found"):
        read_settings(str(file))
    with pytest.raises(SettingsError, match="settings file not found"):
        read_settings("~nobody-of-this-name/config.toml")
    file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_settings(str(file))


TOML = st.text(alphabet="[]{}=.,'\"\n #abcgood_msthreholdpfiuk0123\\u", max_size=80)


@given(st.one_of(st.binary(max_size=80), TOML.map(str.encode)))
def test_any_file_is_read_or_reported(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    with contextlib.suppress(SettingsError):
        read_settings(str(file))


def test_the_flag_overrides_the_variable_and_both_the_users_own_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings_path()
    monkeypatch.setenv("OPUSAGENT_TUI_CONFIG", "/elsewhere.toml")
    assert settings_path() == Path("/elsewhere.toml") != own
    assert settings_path(str(file)) == file


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("[thresholds]\ngood_ms = 500\nslow_ms = 900\n[sessions]\nredact = ['a']")
    for name, value in {
        "THRESHOLDS_GOOD_MS": "600",
        "SESSIONS_REDACT": "b, c",
        "SESSIONS_SAVE": "false",
        "SCREEN_THEME": "",
        "TARGET_LATENCY": "0.2",
        "TARGET_SAVE": "false",
        "TARGET_INPUT": "3",
    }.items():
        monkeypatch.setenv(f"OPUSAGENT_TUI_{name}", value)
    in_force = read_settings(str(file))
    assert in_force.settings.thresholds == Thresholds(good_ms=600, slow_ms=900)
    assert (in_force.settings.sessions.redact, in_force.settings.sessions.save) == (("b", "c"), False)
    assert in_force.settings.screen.theme is None
    assert in_force.environment == {"latency": 0.2, "save": False, "input": "3"}
    assert in_force.variables["thresholds.good_ms"] == "OPUSAGENT_TUI_THRESHOLDS_GOOD_MS"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "OPUSAGENT_TUI_THRESHOLDS_GOOD_MS",
            "fast\r3",
            '$OPUSAGENT_TUI_THRESHOLDS_GOOD_MS is "fast␍3", but must be a number',
        ),
        ("OPUSAGENT_TUI_THRESHOLDS_GOOD_MS", "2000", "slow_ms (1500) must be at least good_ms (2000)"),
        ("OPUSAGENT_TUI_SESSIONS_KEEP_COUNT", "1.5", "must be a whole number of at least 1"),
    ],
)
def test_an_invalid_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    assert sentence in str(raised.value)


def test_every_setting_has_a_type_with_a_description() -> None:
    from tui.text.strict import in_words

    for section in msgspec.structs.fields(Settings):
        kind = section.type
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                assert "something else" not in in_words(field.type), field.name
