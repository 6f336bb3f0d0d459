"""What is left of an architecture when something is taken away."""

from __future__ import annotations

import archon
from archon.search.ablation import ablations


def test_each_stage_each_branch_and_each_number() -> None:
    whole = archon.loads(
        """
        models: {a: {model: fake/a, max_tokens: 50}, b: {model: fake/b, max_tokens: 50}}
        stages:
          - [generate: {model: a, samples: 4}, generate: {model: b}]
          - verify: {model: a, keep: all, votes: 3}
          - vote: {weight: score}
        """
    )
    found = {said: str(made) for said, made in ablations(whole)}
    assert found == {
        # Without generate nothing stands; without verify no score is there to weigh votes.
        "without vote": "generate | generate-2 > verify",
        "without generate 1": "generate > verify > vote",
        "without generate 2": "generate > verify > vote",
        "samples 2 instead of 4": "generate | generate-2 > verify > vote",
        "votes 1 instead of 3": "generate | generate-2 > verify > vote",
    }
    for _, made in ablations(whole):
        assert made.bound().calls <= whole.bound().calls
        used = {model.model for model in made.models()}
        assert {m["model"] for m in made.dump()["models"].values()} == used


def test_nothing_is_left_of_one_layer() -> None:
    assert list(ablations(archon.loads("stages: [generate: {model: fake/a}]"))) == []
