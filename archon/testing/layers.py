"""The contracts of a layer: each is a function that takes a layer and raises AssertionError.

What the contracts do not cover is what a layer is *for*: whether its notes are any good, and
whether its prompts can be understood, is for its own tests and for measurements.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from archon.backends.fake import Fake
from archon.base import Layer, ModelLayer, Shape, as_architecture
from archon.base.flow import NOTE_PORTS
from archon.budget import Budget
from archon.config import dumps, loads
from archon.errors import ArchonError, BudgetExceeded, ModelError
from archon.model import Draw, Request
from archon.plain import canonical
from archon.testing.examples import front_of
from archon.testing.playing import Played, Shuffled, obliging, play, play_async
from archon.testing.states import GARBAGE, SENTINEL, accepted_kinds, plain_state, states
from archon.types import Candidate, State

__all__ = ["LAYER_CONTRACTS", "check_layer"]

Contract = Callable[[Layer], None]
LAYER_CONTRACTS: dict[str, Contract] = {}
"""Every contract by name."""


def _contract(check: Contract) -> Contract:
    LAYER_CONTRACTS[check.__name__] = check
    return check


def check_layer(layer: Layer, contracts: Iterable[str] = ()) -> None:
    """Check a layer against all contracts, or against those named.

    Raises:
        AssertionError: saying what the layer did, and in which contract.
    """
    for name in contracts or LAYER_CONTRACTS:
        LAYER_CONTRACTS[name](layer)


def shape_of(state: State) -> Shape:
    """Return the smallest shape that a state fits, a token for every four bytes."""

    def tokens(*texts: str) -> int:
        return sum(-(-len(text.encode()) // 4) for text in texts)

    return Shape(
        question_tokens=tokens(*(m.content for m in state.task.messages)) + 16,
        candidates=len(state.candidates),
        candidate_tokens=max((tokens(c.text) for c in state.candidates), default=0),
        note_tokens=max(
            (tokens(*(n.text for n in c.notes)) for c in state.candidates), default=0
        ),
        tests=len(state.tests),
        test_tokens=tokens(*state.tests),
    )  # fmt: skip


@_contract
def keeps_its_bound(layer: Layer) -> None:
    """Calls, tokens and candidates never pass what `bound` says for the state that came in."""

    @given(states(layer), st.booleans())
    @example(plain_state(layer), True)
    @example(plain_state(layer), False)
    def check(state: State, well: bool) -> None:
        played = play(layer, state, Fake(obliging) if well else Fake())
        bound = layer.bound(shape_of(state))
        most = bound.calls + bound.reasks
        assert played.sent <= most, f"{played.sent} calls, but the bound says {most}"
        if played.after is not None:
            count = len(played.after.candidates)
            # A layer that was skipped or cut hands on what came in.
            most = max(bound.candidates, len(state.candidates) if not played.sent else 0)
            assert count <= most, f"{count} candidates, but the bound says {most}"
        _fits("output", played.used.output_tokens, bound.output_tokens)
        _fits("input", played.used.input_tokens, bound.input_tokens)

    check()


def _fits(what: str, used: int | None, bound: int | None) -> None:
    if used is not None and bound is not None:
        assert used <= bound, f"{used} {what} tokens, but the bound says {bound}"


@_contract
def leaves_its_input(layer: Layer) -> None:
    """Neither the state nor the settings change, and the task goes through as it is."""

    @given(states(layer))
    @example(plain_state(layer))
    def check(state: State) -> None:
        before, settings = canonical(state.to_json()), repr(layer)
        played = play(layer, state)
        assert canonical(state.to_json()) == before, "the input was changed"
        assert repr(layer) == settings, "the settings were changed"
        if played.after is not None:
            assert played.after.task == state.task, "the task was changed"

    check()


@_contract
def is_deterministic(layer: Layer) -> None:
    """Equal state and seed give an equal result, whatever came before and whoever is first."""

    @given(states(layer), states(layer), st.integers(0, 5))
    @example(plain_state(layer), plain_state(layer, ("other",)), 3)
    def check(state: State, other: State, order: int) -> None:
        random.seed(1)
        first = _outcome(play(layer, state))
        random.seed(2)
        play(layer, other)
        assert _outcome(play(layer, state)) == first, "a second run gave another result"
        late = _outcome(play(layer, state, Shuffled(obliging, order)))
        assert late == first, "the result depends on the order in which replies arrive"

    check()


def _outcome(played: Played) -> str:
    if played.after is None:
        return str(played.error)
    data = played.after.to_json()
    for candidate in data["candidates"]:
        candidate["reply"]["usage"].pop("seconds")
    return canonical(data)


@_contract
def refuses_before_spending(layer: Layer) -> None:
    """A budget is never passed, and what it refused leaves no made-up candidate."""

    @given(states(layer), st.integers(0, 3))
    @example(plain_state(layer), 0)
    @example(plain_state(layer), 1)
    def check(state: State, calls: int) -> None:
        played = play(layer, state, budget=Budget(calls=calls))
        assert played.sent <= calls, f"{played.sent} calls under a budget of {calls}"
        if calls or not play(layer, state).sent:
            return
        if played.after is None:
            assert isinstance(played.error, BudgetExceeded), f"raised {played.error!r}"
        else:
            new = {c.id for c in played.after.candidates} - {c.id for c in state.candidates}
            assert not new, "there are new candidates though no call was made"

    check()


@_contract
def round_trips(layer: Layer) -> None:
    """Written to YAML and read back, it is the same layer with the same digest."""
    assert layer.kind, "it is not registered"
    assert hash(layer) == hash(type(layer)(**layer.settings())), "equal layers differ in hash"
    whole = as_architecture(layer)
    for front in reversed(front_of(layer)):
        whole = front >> whole
    again = loads(dumps(whole))
    assert again.digest() == whole.digest(), f"the digest changed:\n{dumps(again)}"
    assert again == whole, f"it came back different:\n{dumps(again)}"


@_contract
def keeps_its_ports(layer: Layer) -> None:
    """What it says that it gives is there, on every candidate that is left."""
    played = play(layer, plain_state(layer))
    after, gives = played.after, layer.provided()
    assert after is not None, f"it failed on a plain state: {played.error}"
    if "candidates" in gives:
        assert after.candidates or after.reason, "there is neither a candidate nor a reason"
    if played.unparsed:
        return  # what is missing then is its policy
    if "tests" in gives:
        assert after.tests, "it gives 'tests', but there are none"
    if "asserts" in gives:
        assert after.asserts, "it gives 'asserts', but there are none"
    for port in sorted(gives & NOTE_PORTS):
        without = [c.id for c in after.candidates if not _has(c, port)]
        assert not without, f"it gives {port!r}, but {without[0]!r} has none"


def _has(candidate: Candidate, port: str) -> bool:
    if port == "critiques":
        return candidate.note("critique") is not None
    if port == "verdicts":
        return any(note.passed is not None for note in candidate.notes)
    return candidate.score() is not None


@_contract
def survives_garbage(layer: Layer) -> None:
    """Whatever the model says, nothing but an ArchonError comes out, and only clean values."""
    for name, texts in GARBAGE.items():
        for state in (plain_state(layer), plain_state(layer, texts)):

            def say(request: Request, draw: Draw, texts: tuple[str, ...] = texts) -> str:
                return texts[draw.number % len(texts)]

            _clean(play(layer, state, Fake(say)), name)

    @given(states(layer), st.lists(st.text(max_size=40), min_size=1, max_size=5))
    def check(state: State, texts: list[str]) -> None:
        _clean(play(layer, state, Fake(lambda r, d: texts[d.number % len(texts)])), "random text")

    check()


def _clean(played: Played, what: str) -> None:
    cause = None if played.error is None else played.error.__cause__
    if cause is not None and not isinstance(cause, ArchonError):
        raise AssertionError(f"{what} made it raise {cause!r}") from cause
    if played.after is None:
        return
    data = played.after.to_json()
    canonical(data).encode()  # raises for NaN, infinities and lone surrogates
    assert State.from_json(data) == played.after, f"{what}: the state has no JSON form"


@_contract
def keeps_ids(layer: Layer) -> None:
    """An id stands for one text for ever, and only new texts have new ids."""

    @given(states(layer))
    @example(plain_state(layer))
    def check(state: State) -> None:
        after = play(layer, state).after
        if after is None:
            return
        ids = [candidate.id for candidate in after.candidates]
        assert len(set(ids)) == len(ids), f"two candidates have one id: {ids}"
        old = {candidate.id: candidate for candidate in state.candidates}
        for candidate in after.candidates:
            if candidate.id not in old:
                assert _writes(layer), "it writes, but does not give, candidates"
                continue
            known = old[candidate.id]
            assert candidate.reply == known.reply, f"{candidate.id!r} has another text now"
            kept = candidate.notes[: len(known.notes)]
            assert kept == known.notes, f"{candidate.id!r} lost or changed a note"

    check()


def _writes(layer: Layer) -> bool:
    inner = (layer, *(nested for _, nested in layer.walk()))
    return any("candidates" in one.provided() for one in inner)


@_contract
def ends_notes(layer: Layer) -> None:
    """A new candidate has no note of an old one, and an old one no note of another."""

    @given(states(layer))
    @example(plain_state(layer))
    def check(state: State) -> None:
        after = play(layer, state).after
        if after is None:
            return
        owner = {note: c.id for c in state.candidates for note in c.notes}
        for candidate in after.candidates:
            for known in candidate.notes:
                assert owner.get(known, candidate.id) == candidate.id, (
                    f"{candidate.id!r} has the note of {owner[known]!r}"
                )

    check()


@_contract
def shows_the_conversation(layer: Layer) -> None:
    """Every request holds the question and the user's system message."""
    played = play(layer, plain_state(layer))
    for request, _ in played.fake.requests:
        text = "\n".join(message.content for message in request.messages)
        for what, word in zip(("system message", "question"), SENTINEL, strict=True):
            assert word in text, f"a request does not show the {what}:\n{text[:500]}"


@_contract
def names_its_models(layer: Layer) -> None:
    """Only models among its settings are asked: they are what `check` and `bound` look at."""
    known = set(layer.models())
    for request, _ in play(layer, plain_state(layer)).fake.requests:
        assert request.model in known, f"it asks {request.model.model!r}, not among its settings"


@_contract
def cancels_cleanly(layer: Layer) -> None:
    """Cancelled while it waits for a model, it leaves no task and no call behind."""

    async def cancel() -> None:
        fake = Fake(obliging, latency=600)
        run = asyncio.ensure_future(play_async(layer, plain_state(layer), fake))
        for _ in range(200):
            await asyncio.sleep(0)
            if fake.in_flight or run.done():
                break
        run.cancel()
        await asyncio.wait([run], timeout=10)
        assert run.done(), "it did not end when it was cancelled"
        for _ in range(5):
            await asyncio.sleep(0)
        assert not fake.in_flight, f"{fake.in_flight} calls are still under way"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"{len(left)} tasks are left: {left}"

    asyncio.run(cancel())


@_contract
def loses_only_what_failed(layer: Layer) -> None:
    """With `on_error: drop`, one failed call of many costs one candidate at most."""
    if not isinstance(layer, ModelLayer) or layer.on_error != "drop":
        return
    state = plain_state(layer)
    fake = Shuffled(obliging, 0)
    good = play(layer, state, fake)
    if fake.together < 2 or good.after is None:
        return  # with one call at a time there is no other to be lost
    for broken in range(min(good.sent, 3)):
        faults = [None] * broken + [ModelError("broken on purpose", kind="fatal")]
        bad = play(layer, state, Shuffled(obliging, 0, faults))
        assert bad.after is not None, f"one failed call ended it: {bad.error}"
        want, have = len(good.after.candidates) - 1, len(bad.after.candidates)
        assert have >= want, f"one failed call left {have} candidates, not {want} or more"


@_contract
def obeys_no_candidate(layer: Layer) -> None:
    """What a candidate says about itself changes nothing while the model's reply is the same."""
    benign = plain_state(layer, ("An answer: 4", "An answer: 5"))
    if not play(layer, benign).sent:
        return
    reply = "I cannot say."
    want = _judged(play(layer, benign, Fake(lambda r, d: reply)))
    for order in GARBAGE["instructions"]:
        state = plain_state(layer, ("An answer: 4", f"An answer: 5 {order}"))
        have = _judged(play(layer, state, Fake(lambda r, d: reply)))
        assert have == want, f"the candidate {order!r} was obeyed: {have} instead of {want}"


def _judged(played: Played) -> object:
    if played.after is None:
        return "failed"
    return {
        c.id: [(n.passed, n.score, n.results) for n in c.notes] for c in played.after.candidates
    }


@_contract
def accepts_some_task(layer: Layer) -> None:
    """There is at least one kind of answer that it works for."""
    assert accepted_kinds(layer), "its check_task refuses every kind of answer"
