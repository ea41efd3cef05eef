"""Tests random sequences of registering, unregistering and triggering, even in callbacks, against a simple model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.callbacks import CallbackManager, CallbackTracing, Registration, callback_tracing

EVENTS = ("a", "b")


@dataclass(frozen=True)
class Step:
    """One action. A registered callback runs its own ``inner`` steps the first time it is called."""

    kind: str
    event: str
    which: int = 0
    inner: tuple[Step, ...] = ()


def steps(inner: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[tuple[Step, ...]]:
    events, which = st.sampled_from(EVENTS), st.integers(0, 7)
    return st.lists(
        st.one_of(
            st.builds(Step, st.just("register"), events, inner=inner),
            st.builds(Step, st.just("unregister"), events, which),
            st.builds(Step, st.just("trigger"), events),
            st.builds(Step, st.sampled_from(["trace", "untrace"]), events),
        ),
        max_size=8,
    ).map(tuple)


programs = steps(steps(steps(st.just(()))))


@dataclass
class Entry:
    number: int
    step: Step
    active: bool = True


@dataclass
class Model:
    """The expected behaviour: a list of entries that are checked before they are called."""

    entries: list[Entry] = field(default_factory=list)
    numbered: int = 0
    log: list[tuple[str, int]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)

    def run(self, program: tuple[Step, ...], depth: int = 0) -> None:
        for step in program:
            match step.kind:
                case "register":
                    self.entries.append(Entry(self.numbered, step))
                    self.numbered += 1
                case "unregister":
                    if step.which < len(self.entries):
                        self.entries[step.which].active = False
                case "trigger" if depth < 3:
                    for entry in [e for e in self.entries if e.active and e.step.event == step.event]:
                        if entry.active:
                            self.call(step.event, entry, depth)

    def call(self, event: str, entry: Entry, depth: int) -> None:
        self.log.append((event, entry.number))
        if entry.number not in self.done:
            self.done.add(entry.number)
            self.run(entry.step.inner, depth + 1)


class Real:
    """The same programs on a manager."""

    def __init__(self, awaited: bool, more: tuple[str, ...]) -> None:
        self.manager = CallbackManager()
        self.registrations: list[Registration] = []
        self.log: list[tuple[str, int]] = []
        self.done: set[int] = set()
        self.awaited = awaited
        self.more = more
        """Further arguments of every event; events with one argument have a loop of their own."""

    async def run(self, program: tuple[Step, ...], depth: int = 0) -> None:
        for step in program:
            if step.kind == "trigger" and depth < 3:
                await self.manager.trigger_callbacks(step.event, depth, *self.more)
            else:
                self.change(step)

    def run_now(self, program: tuple[Step, ...], depth: int = 0) -> None:
        for step in program:
            if step.kind == "trigger" and depth < 3:
                self.manager.trigger(step.event, depth, *self.more)
            else:
                self.change(step)

    def change(self, step: Step) -> None:
        match step.kind:
            case "register":
                self.registrations.append(self.register(step, len(self.registrations)))
            case "unregister":
                if step.which < len(self.registrations):
                    self.registrations[step.which].unregister()
            case "trace":
                callback_tracing.enable()
            case "untrace":
                callback_tracing.disable()

    def register(self, step: Step, number: int) -> Registration:
        def first_time() -> bool:
            self.log.append((step.event, number))
            first = number not in self.done
            self.done.add(number)
            return first

        def plain(depth: int, *_: str) -> None:
            if first_time():
                self.run_now(step.inner, depth + 1)

        async def coroutine(depth: int, *_: str) -> None:
            if first_time():
                await self.run(step.inner, depth + 1)

        callback = coroutine if self.awaited else plain
        return self.manager.register_callback(step.event, callback)


@settings(max_examples=200, deadline=None)
@given(programs, st.booleans(), st.sampled_from([(), ("more",)]))
def test_the_manager_does_what_the_model_does(
    program: tuple[Step, ...], awaited: bool, more: tuple[str, ...]
) -> None:
    model, real = Model(), Real(awaited, more)
    try:
        model.run(program)
        if awaited:
            asyncio.run(real.run(program))
        else:
            real.run_now(program)
        assert real.log == model.log
        assert [registration.active for registration in real.registrations] == [
            e.active for e in model.entries
        ]
        for event in EVENTS:
            active = [e for e in model.entries if e.active and e.step.event == event]
            assert [name for name, _ in real.manager.traceable()].count(event) == len(active)
    finally:
        callback_tracing.disable()
        callback_tracing.reset()


def test_the_switch_of_this_process_is_off_to_begin_with() -> None:
    assert not CallbackTracing().enabled
    assert not callback_tracing.enabled
