"""Which candidate is the answer: the best last score, then listing order; no dice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archon.result import choose, conclude
from archon.types import Candidate, Note, State, Task


def _scored(*scores: float | None) -> tuple[Candidate, ...]:
    return tuple(
        Candidate.of(
            f"#### {i}", id=str(i), notes=() if s is None else (Note("score", score=s),)
        )
        for i, s in enumerate(scores)
    )  # fmt: skip


@given(st.lists(st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=8))
def test_the_best_last_score_then_listing_order(scores: list[float | None]) -> None:
    ordered = choose(_scored(*scores))
    keys = [(-(c.score() or 0.0), int(c.id)) for c in ordered if c.score() is not None]
    assert keys == sorted(keys)
    assert [c.score() is None for c in ordered] == sorted(c.score() is None for c in ordered)
    assert len(ordered) == len(scores)


def test_only_the_last_score_counts() -> None:
    first = Candidate.of("a", id="a", notes=(Note("score", score=1.0), Note("score", score=0.1)))
    second = Candidate.of("b", id="b", notes=(Note("score", score=0.5),))
    assert choose((first, second))[0].id == "b"


def test_the_value_is_parsed_by_the_kind_of_answer() -> None:
    task = Task.of("How many?", answer="number")
    text, value, reason, _ = conclude(State(task, _scored(0.1, 0.9)))
    assert (text, value, reason) == ("#### 1", "1", "")
    assert conclude(State(Task.of("hi"), _scored(0.1)))[1] is None


def test_no_candidate_is_no_answer_with_a_reason() -> None:
    task = Task.of("hi")
    assert conclude(State(task)) == (None, None, "no candidate is left", ())
    assert conclude(State(task, reason="none passed"))[2] == "none passed"
