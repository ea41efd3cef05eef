"""Tests the JavaScript clients. Each script in ``node`` runs one conversation and prints the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.agent.calls import line_named
from tests.peers.conftest import LIMIT_S, PEERS
from tui.agent.process import AgentProcess
from tui.assets import prompts

pytestmark = [
    pytest.mark.xdist_group("peers"),
    pytest.mark.skipif(not shutil.which("node"), reason="node is not installed"),
    pytest.mark.skipif(not (PEERS / "node_modules").exists(), reason="run: npm install --prefix tests/peers"),
]


def hold(script: str, url: str, lines: Path, authority: Path) -> dict[str, Any]:
    """Runs the script's conversation; returns what the script printed."""
    finished = subprocess.run(
        ["node", str(PEERS / "node" / f"{script}.mjs"), url, str(lines)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority / "ca.pem")},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def said(name: str) -> str:
    return line_named(name).text


def answer(name: str) -> str:
    return prompts()[name].text


@pytest.mark.parametrize("script", ["openai_node", "openai_browser"])
def test_openai(script: str, secure_agent: AgentProcess, lines: Path, authority: Path) -> None:
    assert hold(script, secure_agent.url(""), lines, authority) == {
        "errors": [],
        "model": "gpt-realtime",
        "greeting": [answer("greeting")],
        "turn": [said("number"), answer("order")],
        "tool": "opening_hours",
        "afterTool": [answer("hours") + " nine to six"],
        "interrupted": {"type": "cancelled", "reason": "turn_detected"},
        "afterInterruption": [said("interrupt"), answer("listening")],
        "closeCode": 1000,
    }


def test_openai_agents(agent: AgentProcess, lines: Path, authority: Path) -> None:
    assert hold("agents_js", agent.url(""), lines, authority) == {
        "errors": [],
        "model": "gpt-realtime",
        "tools": ["opening_hours"],
        "history": [
            ["assistant", answer("greeting")],
            ["user", said("number")],
            ["assistant", answer("order")],
            ["user", said("hours")],
            ["assistant", answer("hours") + " nine to six"],
            ["user", said("services")],
            ["assistant", answer("workshop")],
            ["user", said("interrupt")],
            ["assistant", answer("listening")],
        ],
    }


def test_elevenlabs(agent: AgentProcess, lines: Path, authority: Path) -> None:
    assert hold("elevenlabs_js", agent.url(""), lines, authority) == {
        "errors": [],
        "tools": ["opening_hours"],
        "flushed": True,
        "greeting": answer("greeting"),
        "turn": [said("number"), answer("order")],
        "turnWithTool": [said("hours"), answer("hours") + " nine to six"],
        "interruptedTurn": [said("services"), answer("workshop")],
        "interruption": [said("interrupt"), answer("listening")],
        "goodbye": [said("goodbye"), answer("goodbye")],
        "ended": "agent",
        "text": [answer("greeting"), answer("confirmed")],
        "endedText": "user",
    }
