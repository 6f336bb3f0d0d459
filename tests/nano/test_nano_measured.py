"""What the measuring program and the realism panel compute, on answers made by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import archon
from archon.layers import Critique, Fuse, Generate, Rank, Verify, Vote
from archon.model import Model
from archon.nano import answering, judged, realism, tests_written
from archon.nano.answering import Answer, Asked, majority
from archon.nano.cells import Cell, Place, kept, mean, read, table
from archon.nano.examples.mixing import FAMILIES
from archon.nano.factorial import HOMES, Measured, built, model_of, subsets, vote_at
from archon.nano.separating import auc, auc_interval

PLACE = Place("nano", "generate", "arithmetic", 2)


def asked(*texts: str, at: int = 0) -> Asked:
    """A problem with the answers `right`, `wrong` or a number."""
    family = FAMILIES["arithmetic"]
    problem = next(islice(family.stream(2, "test", 0), at, None))
    numbers = {"right": problem.answer, "wrong": problem.answer + 1}
    said = [f"#### {numbers.get(text, text)}" for text in texts]
    one = Asked(family, problem, ())
    return replace(one, answers=tuple(one.grade(text) for text in said))


class Scripted:
    """Replies by a function of the prompt; every verdict has one probability."""

    def __init__(self, say: Any = lambda prompt: "", chance: float = 0.5) -> None:
        self.say, self.chance, self.seen = say, chance, list[str]()

    def reply(self, prompts: list[str], temperature: float, limit: int) -> list[str]:
        self.seen += prompts
        return [self.say(prompt) for prompt in prompts]

    def choice(self, prompts: list[str], options: tuple[str, str]) -> list[float]:
        assert options == ("[Correct]", "[Incorrect]")
        return [self.chance for _ in prompts]


def values(cells: list[Cell]) -> dict[str, float]:
    return {cell.what: cell.value for cell in cells}


def test_answers_are_graded_and_counted() -> None:
    one = asked("right", "wrong", "wrong", "7777", "right", "wrong")
    assert [answer.right for answer in one.answers] == [True, False, False, False, True, False]
    assert one.share == pytest.approx(1 / 3)
    assert majority(one.answers).text == one.answers[1].text
    none = Answer("?", None, False)
    assert majority((none, none, one.answers[0])) == one.answers[0]
    assert majority((none, none)) is none


def test_the_area_under_the_curve_by_counting_pairs() -> None:
    rng = random.Random(1)
    scores = [round(rng.random(), 1) for _ in range(60)]
    truths = [rng.random() < 0.4 + 0.3 * score for score in scores]
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, first in zip(scores, truths, strict=True)
        for b, second in zip(scores, truths, strict=True)
        if first and not second
    ]
    area = sum(pairs) / len(pairs)
    assert auc(scores, truths) == pytest.approx(area)
    low, high = auc_interval(scores, truths, range(60))
    assert low < area < high
    assert auc([1.0], [True]) is None


def test_a_ranker_that_likes_the_first_wins_half_and_has_all_the_bias() -> None:
    found = values(
        judged.ranks(Scripted(lambda _: "Ranking: A > B"), [asked("right", "wrong")], PLACE)  # type: ignore[arg-type]
    )
    assert found["the right one of a pair first"] == 0.5
    assert found["the one shown first preferred"] == 1.0

    def knows(prompt: str) -> str:
        right = prompt.index(f"#### {problem.answer}\n")
        wrong = prompt.index(f"#### {problem.answer + 1}")
        return "Ranking: A > B" if right < wrong else "Ranking: B > A"

    one = asked("wrong", "right")
    problem = one.problem
    found = values(judged.ranks(Scripted(lambda p: knows(p + "\n")), [one], PLACE))  # type: ignore[arg-type]
    assert found["the right one of a pair first"] == 1.0
    assert found["the one shown first preferred"] == 0.5
    assert found["first of 4 minus their mean"] == 0.5
    found = values(judged.ranks(Scripted(), [one], PLACE))  # type: ignore[arg-type]
    assert found["the right one of a pair first"] == 0.5, "what cannot be read is a guess"


def test_fusing_and_refining_are_measured_against_what_they_are_given() -> None:
    one = asked("right", "wrong", "wrong", "wrong")
    voice = Scripted(lambda _: one.answers[0].text)
    found = values(judged.fuse(voice, [one], PLACE))  # type: ignore[arg-type]
    assert found == {"fusion of 4": 1.0, "fusion of 4 minus their mean": 0.75}
    lost = asked("wrong", "wrong", "8888", "9999")
    voice = Scripted(lambda _: lost.answers[0].text)
    found = values(judged.fuse(voice, [lost], PLACE))  # type: ignore[arg-type]
    assert found["right where all were wrong"] == 0.0
    voice = Scripted(lambda _: one.answers[1].text)
    assert values(judged.refine(voice, [one], PLACE)) == {"rewritten minus first answer": -1.0}  # type: ignore[arg-type]
    assert any(text.startswith("Improve this answer.") for text in voice.seen)


def test_verdicts_and_reviews_are_split_by_truth() -> None:
    rows = [asked("right", "wrong", at=0), asked("wrong", "wrong", at=1)]
    found = values(judged.verify(Scripted(chance=0.7), rows, PLACE))  # type: ignore[arg-type]
    assert found == {"AUC": 0.5, "right ones accepted": 1.0, "wrong ones accepted": 1.0}
    voice = Scripted(lambda p: "All steps are right." if "#### 12345" in p else "Step 1 is wrong.")
    found = values(judged.critique(voice, [asked("right"), asked("12345", at=1)], PLACE))  # type: ignore[arg-type]
    assert found == {
        "faults found in wrong ones": 0.0,
        "faults found in right ones": 1.0,
        "the fault named in wrong ones": 0.0,
    }


def test_a_review_must_name_the_fault_that_is_there() -> None:
    slip = FAMILIES["arithmetic"].stream(1, "test", 0)
    one = next(problem for problem in slip if "*" not in problem.key)
    draft = FAMILIES["arithmetic"].right(one, random.Random(0))
    first, *rest = draft.text.split("\n")
    sum_, _, result = first.rpartition(" ")
    text = "\n".join((f"{sum_} {int(result) + 1}", *rest[:-1], "#### 1"))
    wrong = Asked(FAMILIES["arithmetic"], one, ())
    wrong = replace(wrong, answers=(wrong.grade(text),))
    for said, named in (
        (f"{draft.text}\n1 is wrong. Step 1 is wrong: {first}.", 1.0),
        ("1 is wrong. Step 2 is wrong: 1 + 1 = 2.", 0.0),
        ("1 is right. All steps are right.", 0.0),
    ):
        voice = Scripted(lambda _, said=said: said)
        found = values(judged.critique(voice, [wrong], PLACE))  # type: ignore[arg-type]
        assert found["the fault named in wrong ones"] == named
        assert found["faults found in wrong ones"] == float("right" not in said.split("\n")[-1])


def test_tests_are_held_against_the_reference() -> None:
    problem = next(FAMILIES["listfn"].stream(1, "test", 0))
    row, value = problem.examples[0], problem.program
    scope: dict[str, Any] = {}
    exec(value, scope)  # the benchmark's own reference
    right = f"assert f({list(row)}) == {scope['f'](list(row))}"
    wrong = f"assert f({list(row)}) == 424242"
    one = Asked(FAMILIES["listfn"], problem, ())
    voice = Scripted(lambda _: f"```python\n{right}\n{wrong}\nassert f(xs) == 1\n```")
    found = values(tests_written.asserts(voice, [one], PLACE))  # type: ignore[arg-type]
    assert found == {"tests that hold": pytest.approx(1 / 3), "all 3 hold": 0.0}
    voice = Scripted(lambda _: "\n".join(f"{i}. The answer gives {right[7:]}." for i in (1, 2, 3)))
    found = values(tests_written.statements(voice, [one], PLACE))  # type: ignore[arg-type]
    assert found == {"tests that hold": 1.0, "all 3 hold": 1.0}


def test_cells_come_back_and_make_tables(tmp_path: Path) -> None:
    cells = mean(PLACE, "single sample", [1.0, 0.0, 1.0, 1.0], ["a", "b", "c", "d"])
    cells += mean(replace(PLACE, model="nano-math"), "single sample", [1, 1], ["a", "b"])
    kept(tmp_path / "results.json", {"problems": 4}, cells)
    facts, again = read(tmp_path / "results.json")
    assert (facts, again) == ({"problems": 4}, cells)
    text = table(again)
    assert "| benchmark | level | value | nano | nano-math | n |" in text
    assert "75.0 (30.1 to 95.4)" in text, "Wilson's interval of 3 in 4"
    assert text.splitlines()[-1].endswith("| 2 to 4 |")
    hard = mean(replace(PLACE, level=9), "single sample", [1.0], ["a"])
    assert "| 9 |" in table([*hard, *cells]).splitlines()[-1], "rows are in order of level"
    assert read(tmp_path / "none.json") == ({}, [])
    assert mean(PLACE, "nothing", [], []) == []


def test_wrong_answers_that_agree() -> None:
    """Of the six pairs of four wrong answers, three are of three equal ones."""
    assert realism.agreement([asked("wrong", "wrong", "wrong", "8888", "right")]) == 0.5
    assert realism.agreement([asked("right", "wrong")]) is None


def test_calibration_by_hand() -> None:
    """Bins at 0.9 (said 0.9, held 0.5) and at 0.1 (said 0.1, held 0): 0.5 * 0.4 + 0.5 * 0.1."""
    found = realism.calibration_error([0.9, 0.9, 0.1, 0.1], [True, False, False, False])
    assert found == pytest.approx(0.25)
    assert realism.calibration_error([1.0], [True]) == 0.0


def test_spread_over_items() -> None:
    rows = [asked("right", "right"), asked("wrong", "wrong", at=1)]
    lines = {one.what: one for one in realism.spread(rows, "arithmetic")}
    assert lines["standard deviation of success per item"].value == 0.5
    assert lines["items with success below 10 %"].value == 0.5
    lines = {one.what: one for one in realism.agreeing(rows, "arithmetic")}
    wrong = lines["items whose most frequent answer is wrong"]
    assert (wrong.value, wrong.holds) == (0.5, False)
    assert lines["same wrong answer among two wrong ones"].value == 1.0


def test_who_is_believed_is_compared_on_the_same_problems() -> None:
    """The second problem counts for nothing: only one of both is wrong there."""
    rows = [asked("wrong", "wrong", at=0), asked("right", "wrong", at=1)]
    mine = [(rows[0], rows[0].answers[0], 0.9), (rows[0], rows[0].answers[1], 0.2)]
    others = [(rows[0], rows[0].answers[0], 0.1), (rows[1], rows[1].answers[1], 0.9)]
    assert realism.accepted_gap(mine, others) == 0.5
    assert realism.accepted_gap(mine, others[1:]) is None


def test_longer_wrong_answers_correlate_below_zero() -> None:
    one = asked("right", "123456789")
    assert realism.length_correlation([one]) == pytest.approx(-1)


def test_all_combinations_of_techniques_are_built() -> None:
    every, folder = list(subsets()), Path("/weights")
    assert len(set(every)) == 32
    for benchmark in HOMES:
        assert len({repr(built(chosen, folder, benchmark)) for chosen in every}) == 32
    writer, other = (model_of(folder, name) for name in ("nano", "nano-math"))
    judge = model_of(folder, "nano", 0.0)
    assert built(frozenset(every[-1]), folder, "constraints") == (
        (Generate(model=writer, samples=4) | Generate(model=other, samples=4))
        >> Verify(model=judge)
        >> Critique(model=judge)
        >> Rank(model=judge, keep=4)
        >> Fuse(model=judge)
    )
    assert built(frozenset(), folder, "listfn") == (
        Generate(model=model_of(folder, "nano-code"), samples=8) >> Vote(answer="text")
    )
    thinker = model_of(folder, "nano", think=True)
    assert thinker.effort == "medium"
    assert built(frozenset(), folder, "countdown") == Generate(model=thinker, samples=8) >> Vote()
    heads = (
        ("arithmetic", "nano-math", "nano-prm", True),
        ("listfn", "nano-code", "nano-orm", False),
    )
    for benchmark, name, head, lines in heads:
        params = {"steps": "mean"} if lines else {}
        scorer = Model(f"local/{folder / head}", params=params)
        ranked = Generate(model=model_of(folder, name), samples=8) >> Rank(
            model=scorer, method="scorer", keep=4
        )
        vote = Vote() if lines else Vote(answer="text")
        assert built(frozenset({"rank"}), folder, benchmark) == ranked >> vote


def test_the_vote_at_a_cost_is_the_cheapest_that_is_not_cheaper() -> None:
    curve = [Measured((0.5,), 1.0), Measured((0.6,), 2.0), Measured((0.7,), 4.0)]
    assert [vote_at(curve, usd).usd for usd in (0.5, 1.0, 1.5, 9.0)] == [1.0, 1.0, 2.0, 4.0]


def test_the_panel_of_the_factorial() -> None:
    """Task a is won by three techniques together, task b by nothing at all."""
    three = frozenset({"verify", "rank", "fuse"})
    tables = {
        name: {chosen: Measured((0.5, 0.5), 1.0) for chosen in subsets()} for name in ("a", "b")
    }
    tables["a"][three] = Measured((1.0, 0.6), 3.0)
    tables["a"][frozenset({"fuse"})] = Measured((0.6, 0.6), 2.0)
    tables["b"][three] = Measured((0.2, 0.4), 3.0)
    curves = {
        "a": [Measured((0.5, 0.5), 1.0), Measured((0.6, 0.6), 4.0)],
        "b": [Measured((0.5, 0.5), 1.0), Measured((0.5, 0.6), 4.0)],
    }
    found = {one.what: one for one in realism.combined(tables, curves)}
    assert all(one.holds for one in found.values()), found
    lead = found["best architecture minus a vote at its cost"]
    assert lead.benchmark == "a"
    assert lead.value == pytest.approx(0.8 - 0.6)
    worst = found["the same architecture elsewhere, at its worst"].value
    assert worst == pytest.approx(0.3 - 0.55)
    share = found["share of the gain of one technique alone"].value
    assert share == pytest.approx(0.1 / 0.3)
    tables["a"][frozenset({"fuse"})] = Measured((1.0, 0.58), 2.0)
    found = {one.what: one for one in realism.combined(tables, curves)}
    assert not found["share of the gain of one technique alone"].holds


def test_a_number_outside_its_range_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fine = realism.Check("n", "a", 0.5, 0.0, 1.0)
    for value, code in ((0.5, 0), (2.0, 1), (None, 1)):
        monkeypatch.setattr(realism, "single", lambda *_, v=value: [replace(fine, value=v)])
        monkeypatch.setattr(realism, "factorial", lambda *_: {})
        monkeypatch.setattr(realism, "votes", lambda *_: [])
        monkeypatch.setattr(realism, "combined", lambda *_: [])
        monkeypatch.setattr(archon, "Session", lambda pool: _Nothing())
        argv = ["realism", "--benchmarks", "listfn", "--out", str(tmp_path), "--quick"]
        monkeypatch.setattr("sys.argv", argv)
        if code:
            with pytest.raises(SystemExit) as error:
                realism.main()
            assert error.value.code == 1
        else:
            realism.main()
        assert (tmp_path / "realism.json").exists()


class _Nothing(SimpleNamespace):
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_overconfidence_is_vote_share_minus_accuracy() -> None:
    sure_and_wrong = asked("5", "5", "5", "right")
    torn_and_right = asked("right", "right", "7", "8")
    unread = asked("right", "right", "right", "none")
    assert realism.overconfidence([sure_and_wrong]) == pytest.approx(0.75)
    assert realism.overconfidence([sure_and_wrong, torn_and_right]) == pytest.approx(0.125)
    assert realism.overconfidence([unread]) == pytest.approx(-0.25)


class Counting:
    """Answers a question with the numbers of its samples so far."""

    def __init__(self) -> None:
        self.said = dict[str, int]()

    def replies(
        self, prompts: list[str], copies: int, temperature: float, limit: int
    ) -> list[list[str]]:
        assert copies <= 8
        found = []
        for prompt in prompts:
            start = self.said.get(prompt, 0)
            self.said[prompt] = start + copies
            found.append([f"#### {start + place}" for place in range(copies)])
        return found


@pytest.mark.parametrize("samples", [1, 4, 8, 24])
def test_every_problem_gets_its_own_samples(samples: int) -> None:
    family = FAMILIES["arithmetic"]
    found = answering.asked(Counting(), family, 2, 5, samples)  # type: ignore[arg-type]
    assert len({one.problem.key for one in found}) == 5
    for one in found:
        assert [answer.value for answer in one.answers] == list(range(samples))
