"""Which architectures only select, what they are worth, and what the pool knows of them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

import archon
from archon import Session, optimize
from archon.backends.fake import Fake
from archon.matrix import Sample, put_samples
from archon.matrix.labels import model_label
from archon.model import Draw, Model, Request
from archon.search import Study, read_search
from archon.search.averaging import least_draws, taken
from archon.search.selection import drawn_by, selection_of
from archon.search.subsets import Votes
from tests.search.ground import Toy, answer, source

HEAD = "models: {a: fake/a, b: fake/b}\nstages: "


@pytest.mark.parametrize(
    ("stages", "how"),
    [
        ("[generate: {model: a}]", "first"),
        ("[[generate: {model: a, samples: 3}, generate: {model: b}]]", "first"),
        ("[generate: {model: a, samples: 3}, vote]", "vote"),
        ("[[generate: {model: a}, generate: {model: b}], vote]", "vote"),
        ("[generate: {model: a, samples: 3}, verify: {model: b}, best]", "best"),
        ("[generate: {model: a, samples: 3}, verify: {model: b, keep: all, votes: 2}]", "best"),
        # more than one candidate in a prompt, or more than the texts decide
        ("[generate: {model: a, samples: 3}, fuse: {model: a}]", None),
        ("[generate: {model: a, samples: 3}, rank: {model: a}]", None),
        ("[generate: {model: a, samples: 3}, verify: {model: b, first: 1}]", None),
        ("[generate: {model: a, samples: 3}, verify: {model: b, duplicates: each}]", None),
        ("[generate: {model: a, samples: 3}, verify: {model: b}, vote: {weight: score}]", None),
        ("[generate: {model: a, samples: 3}, vote: {min_share: 0.5}]", None),
        # the second of one family has draws of its own
        ("[[generate: {model: a}, generate: {model: a}], vote]", None),
        ("[generate: {model: a}, generate: {model: b, keep: true}, vote]", None),
        ("[vote: {stop: agreed, waves: 2, source: {generate: {model: a}}}]", None),
    ],
)
def test_what_only_selects(stages: str, how: str | None) -> None:
    found = selection_of(archon.loads(HEAD + stages))
    assert (None if found is None else found.how) == how


def test_below_which_score_there_is_no_answer() -> None:
    verify = "verify: {model: b, threshold: 0.7, none: nothing}"
    found = selection_of(archon.loads(f"{HEAD}[generate: {{model: a, samples: 2}}, {verify}]"))
    assert found is not None
    assert found.least == 0.7


@pytest.mark.parametrize(
    ("stages", "alike"),
    [
        ("[generate: {model: a, samples: 4}, fuse: {model: b}]", 4),
        ("[generate: {model: a, samples: 4}, critique: {model: b}, fuse: {model: b}]", 4),
        # what goes on in listing order treats the first draw apart
        ("[generate: {model: a, samples: 4}, refine: {model: b}]", 1),
        ("[generate: {model: a, samples: 4}, verify: {model: b, keep: 2}, fuse: {model: b}]", 1),
    ],
)
def test_how_many_draws_are_treated_alike(stages: str, alike: int) -> None:
    assert list(drawn_by(archon.loads(HEAD + stages)).values()) == [alike]


def test_no_comparison_gets_noisier() -> None:
    """The rule of `archon.search.averaging`, over every outcome of four draws that are coins.

    A fuser of the first two draws is right as often as they are; a single answer and a vote of
    three are compared with it and with each other.
    """
    made = [
        selection_of(archon.loads(f"{HEAD}[generate: {{model: a, samples: {n}}}, vote]"))
        for n in (1, 3, 4)
    ]
    fuser = archon.loads(f"{HEAD}[generate: {{model: a, samples: 2}}, fuse: {{model: b}}]")
    stored = taken([found for found in made if found is not None])
    [least] = least_draws(stored, [drawn_by(fuser)]).values()
    assert least == 2
    draws = np.array([*product([0.0, 1.0], repeat=4)])

    def values(k: int, over: int) -> np.ndarray:
        right = draws[:, : max(k, over)]
        return Votes([right], [right.astype(int)]).mean((k,))

    fused = draws[:, :2].mean(1)

    def noise(over: int) -> Mapping[str, float]:
        one, three = values(1, over), values(3, over)
        return {
            "one": np.var(one - fused), "three": np.var(three - fused),
            "both": np.var(one - three),
        }  # fmt: skip

    first, rule, all_ = noise(1), noise(least), noise(4)
    assert all(rule[name] <= first[name] + 1e-12 for name in first)
    assert rule["one"] < first["one"]
    assert all_["one"] > rule["one"]  # luck of draws that the fuser never saw
    # With nothing but selection all draws count, and the comparison is the better for it.
    assert least_draws(stored, []) == dict.fromkeys(least_draws(stored, []), 4)
    assert all_["both"] < first["both"]


SPACE = """\
name: selecting
space:
  models:
    good: {model: fake/good, temperature: 0.7, max_tokens: 40}
    judge: {model: fake/judge, max_tokens: 40}
  holes: {samples: !choice [1, 2, 3, 5]}
  stages:
    - generate: {model: good, samples: !ref samples}
    - !choice
      name: how
      of: {vote: vote, best: [verify: {model: judge}, best]}
benchmark: arithmetic
items: {dev: 16, confirm: 16, test: 30}
searcher: {name: grid, items: 8}
seeds: []
"""


class Recorder:
    """Answers, and keeps what was answered: by question, the texts in order of their draws."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[Draw, str]] = {}

    def __call__(self, request: Request, draw: Draw) -> str:
        """Answer as the ground does; the judge accepts even numbers."""
        said = request.messages[-1].content
        if request.model.model == "fake/judge":
            number = int(re.findall(r"#### (\d+)", said)[0])
            return "[Correct]" if number % 2 == 0 else "[Incorrect]"
        text = answer(request, draw)
        self.texts.setdefault(said, {})[draw] = text
        return text

    def expected(self, item: int, n: int, k: int, how: str) -> float:
        """Return what a selection of k of an item's first n draws is worth on average."""
        texts = self.texts[f"dev {item}: what is the rest?"]
        numbers = [int(texts[draw].split()[-1]) for draw in sorted(texts)][:n]
        values = []
        for some in combinations(numbers, k):
            if how == "vote":
                most = max(map(some.count, some))
                lead = {number for number in some if some.count(number) == most}
            else:
                lead = {0} if any(x % 2 == 0 for x in some) else {1}
                chosen = [x for x in some if x % 2 in lead]
                values.append(np.mean([x == item % 7 for x in chosen]))
                continue
            values.append(np.mean([x == item % 7 for x in lead]))
        return float(np.mean(values))


def searched(path: Path, recorder: Recorder, mode: str = "reuse", text: str = SPACE) -> Study:
    with Session(path, backends={"fake": Fake(recorder)}) as session:
        return optimize(
            read_search(source(text)), Toy(), session=session,
            mode=mode,  # type: ignore[arg-type]
        )  # fmt: skip


def forget(path: Path) -> None:
    """Leave nothing but replies in a pool."""
    with sqlite3.connect(path) as db:
        for table in ("outcomes", "trials", "looks"):
            db.execute(f"DELETE FROM {table}")
    db.close()


def calls(path: Path) -> int:
    with sqlite3.connect(path) as db:
        return int(db.execute("SELECT count(*) FROM attempts").fetchone()[0])


def check(study: Study, recorder: Recorder, stored: Mapping[str, int]) -> None:
    places = [int(i.removeprefix("dev-")) for i in dev_ids(study)]
    for arm in study.books.arms.tolist():
        holes = study.books.table.assignment(arm)  # type: ignore[attr-defined]
        n, k = stored[holes["how"]], holes["samples"]
        wanted = [recorder.expected(place, max(n, k), k, holes["how"]) for place in places[:8]]
        assert study.books.of(arm)[:8] == pytest.approx(wanted, abs=1e-9), holes


def dev_ids(study: Study) -> list[str]:
    """Return the items of dev in the study's order, as the cut makes it."""
    from archon.search.files import Sizes
    from archon.search.parts import cut

    return [*cut(Toy(), Sizes(dev=16, confirm=16, test=30)).dev.ids]


def test_a_study_values_what_selects_over_all_stored_draws(tmp_path: Path) -> None:
    path, recorder = tmp_path / "pool.db", Recorder()
    study = searched(path, recorder)
    assert len(study.books.arms) == 8
    check(study, recorder, {"vote": 5, "best": 5})
    # Who takes it up again believes the same.
    again = searched(path, recorder)
    assert again.to_json(times=False) == study.to_json(times=False)
    (tmp_path / "first").mkdir()
    first = searched(tmp_path / "first" / "pool.db", Recorder(), text=SPACE + "all_draws: false\n")
    assert set(np.unique(first.books.scores[:, :8])) == {0.0, 1.0}


def test_replay_is_arithmetic_on_all_that_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, recorder = tmp_path / "pool.db", Recorder()
    searched(path, recorder)
    forget(path)
    before, ran = calls(path), []
    from archon.search import crew
    from archon.search.measuring import measure

    async def counted(job: object, *args: object, **more: object) -> object:
        ran.append(job)
        return await measure(job, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(crew, "measure", counted)
    study = searched(path, recorder, "only", SPACE + "trials: 3\n")
    assert calls(path) == before
    # Three of the eight, valued over the draws that the other five have left as well.
    check(study, recorder, {"vote": 5, "best": 5})
    searched_on = {*dev_ids(study)}
    assert not [job for job in ran if searched_on & {*job.ids}]  # type: ignore[attr-defined]
    assert study.found is not None
    assert study.alone > 0


def test_imported_samples_can_be_searched(tmp_path: Path) -> None:
    path, toy = tmp_path / "pool.db", Toy()
    label = model_label(Model("fake/good", temperature=0.7, max_tokens=40))
    samples = [
        Sample(item.task.id, label, draw, answer=str(draw % 2), score=float(draw % 2))
        for split in ("dev", "test")
        for item in toy.items(split)
        for draw in (0, 1, 3)
    ]
    with Session(path, backends={"fake": Fake(answer)}) as session:

        async def put() -> None:
            await put_samples(session.pool, toy.digest(), samples)

        session.wait(put())
    text = SPACE.replace(
        "of: {vote: vote, best: [verify: {model: judge}, best]}", "of: {vote: vote, first: []}"
    ).replace("[1, 2, 3, 5]", "[1, 2, 3]")
    study = searched(path, Recorder(), "only", text)
    assert calls(path) == 0
    values = {
        (holes["how"], holes["samples"]): told.values[0]
        for told in study.trials
        if (holes := study.books.table.assignment(told.arm))  # type: ignore[attr-defined]
    }
    # Two of three draws are right: so are 2/3 of single ones, and of all votes of three; of the
    # three pairs one is right and two are ties.
    assert values["first", 3] == pytest.approx(2 / 3)
    assert values["vote", 2] == pytest.approx(2 / 3)
    assert values["vote", 3] == pytest.approx(1)
    assert study.found is not None
    assert study.found.winner.mean == pytest.approx(1)
