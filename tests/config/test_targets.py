from __future__ import annotations

from pathlib import Path

import pytest

from tui.config.reading import SettingsInForce, read_settings
from tui.config.targets import SOUND, address_book, make_target
from tui.models.target import Target
from tui.saving.folders import default_folder
from tui.text.strict import SettingsError

FILE = """
[sessions]
redact = ["ssn"]
[target]
input = "USB"
latency = 0.1
token_env = "ANY_TOKEN"
[profiles.staging]
url = "wss://h/x?key=${KEY}"
protocol = "twilio"
token_env = "STAGING_TOKEN"
headers = {Authorization = "Basic ${KEY}", X = "costs $5"}
options = {rate = 16000, vad = false}
on_stop = "close"
audio = false
redact = ["phone"]
input = 2
[profiles.plain]
url = "ws://h:1"
save = "kept"
"""


@pytest.fixture
def in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsInForce:
    for name, value in {"KEY": "k3y", "STAGING_TOKEN": "hunter2", "ANY_TOKEN": "hunter3"}.items():
        monkeypatch.setenv(name, value)
    return read(tmp_path, FILE)


def read(folder: Path, text: str) -> SettingsInForce:
    file = folder / "config.toml"
    file.write_text(text)
    return read_settings(str(file))


@pytest.mark.parametrize("around", ["{} ", " {}", "\n{}\r\n", "\u200b{}\ufeff"])
def test_blanks_around_a_url_or_a_name_are_no_part_of_it(in_force: SettingsInForce, around: str) -> None:
    assert make_target(around.format("ws://h:2/x"), in_force).url == "ws://h:2/x"
    assert make_target(around.format("plain"), in_force).url == "ws://h:1"


def test_a_profile_is_a_target_by_its_name(in_force: SettingsInForce) -> None:
    assert make_target("staging", in_force) == Target(
        url="wss://h/x?key=k3y",
        title="staging",
        protocol="twilio",
        token="hunter2",
        token_env="STAGING_TOKEN",
        headers={"Authorization": "Basic k3y", "X": "costs $5"},
        options={"rate": "16000", "vad": "false"},
        on_stop="close",
        input="2",
        latency="0.1",
        save=str(default_folder()),
        audio=False,
        redact=("ssn", "phone"),
    )


def test_a_url_gets_the_settings_of_every_target(in_force: SettingsInForce) -> None:
    target = make_target("ws://other", in_force)
    assert (target.title, target.protocol, target.token) == ("", "auto", "hunter3")
    assert (target.input, target.redact) == ("USB", ("ssn",))


def test_flags_override_the_environment_profiles_and_general_settings(
    tmp_path: Path, in_force: SettingsInForce, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_target("plain", in_force).input == "USB"
    assert make_target("staging", in_force).input == "2"
    monkeypatch.setenv("OPUSAGENT_TUI_TARGET_INPUT", "line.wav")
    in_force = read(tmp_path, FILE)
    assert make_target("staging", in_force).input == "line.wav"
    assert make_target("staging", in_force, {"input": "lines"}).input == "lines"


def test_flags_add_to_tables_and_redacted_fields(in_force: SettingsInForce) -> None:
    flags = {"options": {"rate": "8000", "new": "1"}, "redact": ("card",)}
    target = make_target("staging", in_force, flags)
    assert target.options == {"rate": "8000", "vad": "false", "new": "1"}
    assert target.redact == ("ssn", "phone", "card")


def test_the_folder_of_sessions(tmp_path: Path, in_force: SettingsInForce) -> None:
    assert make_target("plain", in_force).save == str(tmp_path / "kept")
    assert make_target("plain", in_force, {"save": False}).save == ""
    assert make_target("plain", in_force, {"save": "/d"}).save == "/d"
    elsewhere = read(tmp_path, "[sessions]\nfolder = 'all'")
    assert make_target("ws://h", elsewhere).save == str(tmp_path / "all")
    nowhere = read(tmp_path, "[sessions]\nsave = false")
    assert make_target("ws://h", nowhere).save == ""


def test_a_headless_call_ignores_the_sound_settings_of_a_profile(in_force: SettingsInForce) -> None:
    target = make_target("staging", in_force, {"output": "x.wav"}, ignoring=SOUND)
    assert (target.input, target.output, target.latency, target.title) == ("auto", "x.wav", "auto", "staging")


def test_secrets_of_one_call_are_not_sent_to_other_agents(in_force: SettingsInForce) -> None:
    own = {"headers": {"A": "secret"}, "token_env": "KEY", "options": {"a": "b"}}
    flags = {**own, "input": "mic", "save": False}
    book = address_book(in_force, flags)
    base, demo, staging = book.base, book.demo, book.profiles[0].target
    assert (base.url, base.token, base.headers, base.options) == ("", "hunter3", {}, {})
    assert (demo.token, demo.headers, demo.options) == ("", {}, {})
    assert (staging.token, "A" in staging.headers) == ("hunter2", False)
    assert [(each.input, each.save) for each in (base, demo, staging)] == [("mic", "")] * 3
    chosen = address_book(in_force, {"protocol": "openai"}, for_demo=True).demo
    assert (chosen.protocol, chosen.input, chosen.redact) == ("openai", "USB", ("ssn",))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("stagin", '"stagin" is neither a URL (ws:// or wss://) nor a profile in '),
        ("stagin", '; did you mean "staging"?'),
        ("none", " (available: staging, plain)."),
        ("localhost:8000/x", "Missing ws:// or wss://. Did you mean ws://localhost:8000/x?"),
        ("ftp://h", "Missing ws:// or wss://. Did you mean ws://h?"),
    ],
)
def test_a_name_that_is_neither_url_nor_profile_is_reported(
    in_force: SettingsInForce, name: str, sentence: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        make_target(name, in_force)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            'protocol = "twilo"',
            '[profiles.a] protocol=twilo: unknown protocol; did you mean "twilio"? Choose from auto,',
        ),
        ('token_env = "MISSING"', "[profiles.a] token_env=MISSING: that variable is not set. It must"),
        ('headers = {A = "${MISSING}"}', '[profiles.a] headers "A": the variable MISSING is not set.'),
        ('subprotocols = ["two words"]', "a name cannot contain spaces, commas or quotes"),
        ('cacert = "gone.pem"', "gone.pem: file not found."),
        ('tools = "gone.py"', "gone.py: file not found."),
    ],
)
def test_an_unusable_setting_is_reported_with_file_and_key(
    tmp_path: Path, setting: str, sentence: str
) -> None:
    in_force = read(tmp_path, f'[profiles.a]\nurl = "ws://h"\n{setting}')
    with pytest.raises(SettingsError) as raised:
        make_target("a", in_force)
    assert sentence in str(raised.value)
    assert str(in_force.path) in str(raised.value)
    (listed,) = address_book(in_force).profiles
    assert (listed.target.title, listed.problem) == ("a", str(raised.value))


def test_an_error_names_the_flag_as_typed(in_force: SettingsInForce) -> None:
    with pytest.raises(SettingsError, match=r"^--token-env NOPE: that variable is not set"):
        make_target("staging", in_force, {"token_env": "NOPE"})


def test_an_invalid_url_names_its_profile(tmp_path: Path) -> None:
    in_force = read(tmp_path, '[profiles.a]\nurl = "localhost"')
    with pytest.raises(SettingsError, match=r"\[profiles.a\] url: Missing ws:// or wss://"):
        make_target("a", in_force)
    hook = read(tmp_path, '[profiles.a]\nurl = "https://h/twiml"')
    assert make_target("a", hook).url == "https://h/twiml"


def test_white_space_around_a_secret_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AC", " s3cr3t\r\n")
    (tmp_path / "config.toml").write_text(
        '[profiles.a]\nurl = "ws://h/?key=${AC}"\ntoken_env = "AC"\nheaders = {X-Key = "Key ${AC}"}'
    )
    target = make_target("a", read_settings(str(tmp_path / "config.toml")))
    assert (target.url, target.token) == ("ws://h/?key=s3cr3t", "s3cr3t")
    assert target.headers == {"X-Key": "Key s3cr3t"}


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (
            'url = "ws://h"\ntoken_env = "AC"',
            "token_env=AC: the value of that variable contains the control character",
        ),
        ('url = "ws://h/?key=${AC}"', "the value of the variable AC contains the control character U\\+000A"),
        ('url = "ws://h"\nheaders = {K = "${AC}"}', 'headers.* "K": the value of the variable AC contains'),
        ('url = "ws://h"\nheaders = {K = "s3c\\u001br3t"}', 'headers.* "K": the value contains the control'),
        (
            'url = "ws://h"\nheaders = {K = "s3c€r3t"}',
            "contains the character U\\+20AC, which an HTTP header",
        ),
        ('url = "ws://h"\nheaders = {"K K" = "s3cr3t"}', "a header name can contain only letters"),
        ('url = "ws://h"\ntoken_env = "BLANK"', "BLANK: that variable is empty"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_refused_without_showing_it(
    profile: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AC", "s3c\nr3t")
    monkeypatch.setenv("BLANK", " \n")
    (tmp_path / "config.toml").write_text(f"[profiles.a]\n{profile}")
    with pytest.raises(SettingsError, match=says) as caught:
        make_target("a", read_settings(str(tmp_path / "config.toml")))
    assert "r3t" not in str(caught.value)
