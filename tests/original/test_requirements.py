"""What an importer of original files must do, one requirement after the other.

The numbers are those of the list of facts on the original; the files are of our own making.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import archon
from archon import ConfigError
from archon.backends.fake import Fake
from archon.base import Architecture
from archon.original import Choices, Imported
from tests.original.passing import fake, passing, role
from tests.original.samples import (
    QWEN,
    asserter,
    component,
    critic,
    entry,
    evaluator,
    fuser,
    generator,
    imported,
    pairrm,
    ranker,
    verifier,
)  # fmt: skip

QUESTION = "What is 6 * 7?"


def run(what: Imported | Architecture, model: Fake | None = None) -> tuple[Any, Fake]:
    """Run on the fake backend, whatever the models are called."""
    model = model or fake()
    backends = dict.fromkeys(("http", "litellm", "local", "fake"), model)
    with archon.Session(pool=None, backends=backends) as session:
        architecture = what.architecture if isinstance(what, Imported) else what
        return archon.run(architecture, QUESTION, session=session), model


def asked(model: Fake, step: str) -> list[str]:
    """Return the prompts of one step in the order in which they came."""
    prompts = [request.messages[-1].content for request, _ in model.requests]
    return [prompt for prompt in prompts if role(prompt) == step]


def said(what: Imported, text: str) -> list[str]:
    """Return the remarks that hold a text."""
    return [remark for remark in what.remarks if text in remark]


# 1. Layers as a list, as {branches, models}, and as a bare component.


def test_1_a_layer_is_a_list_an_object_with_models_or_a_bare_component() -> None:
    as_list = imported([generator(), generator()], [fuser()])
    as_object = imported({"branches": 1, "models": [generator(), generator()]}, [fuser()])
    bare = imported([generator(), generator()], fuser())
    assert as_list.shape == as_object.shape == bare.shape == "2G > 1F"
    assert as_list.architecture == as_object.architecture == bare.architecture
    assert not as_object.remarks
    assert said(bare, "a component without a list")


def test_1_branches_have_no_effect_and_are_warned_of() -> None:
    one = imported([generator()], {"branches": 2, "models": [fuser()]})
    assert one.architecture == imported([generator()], [fuser()]).architecture
    assert said(one, "`branches: 2` has no effect")


# 2. Broken JSON: file, line, column; mended on request only.

BROKEN = """\
{
  "name": "broken",
  "layers": [[
    {
      "type": "generator"tor"tor",
      "model": "gpt-4o", "model_type": "OpenAI_API", "temperature": 0.7, "max_tokens": 10
    }
  ]]
}
"""


def test_2_text_after_a_closing_quote_is_reported_with_line_and_column(tmp_path: Any) -> None:
    path = tmp_path / "broken.json"
    path.write_text(BROKEN)
    with pytest.raises(ConfigError) as caught:
        archon.load(path)
    assert caught.value.where == f"{path}:5:26"
    assert "'tor\"tor\"'" in caught.value.message
    assert "--repair" in caught.value.message


def test_2_a_repair_is_made_on_request_and_said(tmp_path: Any) -> None:
    path = tmp_path / "broken.json"
    path.write_text(BROKEN)
    mended = archon.original.import_file(path, Choices(repair=True))
    assert mended.shape == "1G"
    assert [str(fix) for fix in mended.fixes] == ["line 5, column 26: dropped 'tor\"tor\"'"]
    assert said(mended, "repaired")
    assert path.read_text() == BROKEN


# 3. Defaults and the older name of max_tokens.


def test_3_samples_default_to_one_and_a_ranker_always_asks_once() -> None:
    bare = generator()
    del bare["samples"]
    one = imported([bare, generator(samples=3)], [ranker(samples=4)])
    assert one.shape == "1G + 1Gx3 > R(k5)"
    assert one.architecture.bound().calls == 1 + 3 + 1
    assert said(one, "of 4 `samples` of a ranker the original uses one")


def test_3_max_context_length_is_max_tokens() -> None:
    old = generator()
    old["max_context_length"] = old.pop("max_tokens")
    assert imported([old]).architecture == imported([generator()]).architecture


# 4. Fields without effect.


@pytest.mark.parametrize(
    ("layer", "field", "value"),
    [
        (generator, "top_k", 1), (generator, "checkpoint", ""), (fuser, "top_k", 1),
        (fuser, "length_contorl", True), (fuser, "ranker_config", {"a": 1}), (critic, "top_k", 3),
        (ranker, "use_critiques", False), (verifier, "batch_num", 2), (generator, "mystery", [1]),
    ],
)  # fmt: skip
def test_4_a_field_without_effect_is_kept_as_metadata_with_a_warning(
    layer: Any, field: str, value: Any
) -> None:
    front = [] if layer is generator else [[generator(samples=3)]]
    with_it = imported(*front, [layer(**{field: value})])
    without = imported(*front, [layer()])
    assert with_it.architecture.digest() == without.architecture.digest()
    [(place, kept)] = with_it.architecture.metadata["without_effect"].items()
    assert place == f"layers[{len(front)}][0].{field}"
    assert kept == value
    assert said(with_it, f"`{field}`")
    assert not said(without, f"`{field}`")


def test_4_length_control_counts_only_where_critiques_reach_the_fuser() -> None:
    idle = imported([generator(samples=2)], [fuser(length_control=True)])
    real = imported([generator(samples=2)], [critic()], [fuser(length_control=True)])
    assert entry(idle, "fuse") == {}
    assert said(idle, "`length_control`")
    assert idle.architecture.metadata["without_effect"] == {"layers[1][0].length_control": True}
    assert entry(real, "fuse") == {"length_control": True}
    assert not real.remarks


def test_4_length_control_behind_new_candidates_has_no_critiques_to_count_for() -> None:
    what = imported(
        [generator(samples=2)], [critic()], [fuser(samples=2)], [fuser(length_control=True)]
    )
    assert entry(what, "fuse-2") == {}
    assert said(what, "`length_control` of a fuser that no critiques reach")


def test_4_intended_honours_the_misspelt_length_control_and_use_critiques() -> None:
    layers = (
        [generator(samples=3)], [critic()], [ranker(use_critiques=False)],
        [fuser(length_contorl=True)],
    )  # fmt: skip
    as_is, meant = imported(*layers), imported(*layers, choices=Choices(intended=True))
    assert entry(as_is, "rank") == {"keep": 5, "duplicates": "each"}
    assert entry(as_is, "fuse") == {}
    assert entry(meant, "rank")["with_critiques"] is False
    assert entry(meant, "fuse")["length_control"] is True
    assert not meant.remarks
    _, model = run(as_is)
    assert "review of answer" in asked(model, "rank")[0]
    _, model = run(meant)
    assert "review of answer" not in asked(model, "rank")[0]
    assert "not longer than the longest" in asked(model, "fuse")[0]


# 5. first_pass, and first_k with top_k.


def test_5_first_pass_is_first_k_one() -> None:
    old = imported([asserter()], [generator(samples=4)], [evaluator(top_k=1, first_pass=True)])
    new = imported([asserter()], [generator(samples=4)], [evaluator(top_k=1, first_k=1)])
    assert old.architecture == new.architecture
    assert old.shape == "T(5) > 1Gx4 > E(f1,k1)"
    assert run(old)[0].used.calls == 1 + 4 + 1


def _third_passes(request: Any, draw: Any) -> Any:
    """Let the third answer alone pass every test, the second all but one."""
    prompt = request.messages[-1].content
    if role(prompt) != "test_eval":
        return passing(request, draw)
    third, second = "answer 0.2 of" in prompt, "answer 0.1 of" in prompt
    given = {True: "Passed", False: "Failed"}
    return "\n".join(f"Test #{n}: [{given[third or (second and n > 1)]}]" for n in range(1, 6))


def test_5_first_k_exits_early_and_top_k_decides_otherwise() -> None:
    front = [asserter()], [generator(samples=4)]
    early = imported(*front, [evaluator(top_k=2, first_k=1)])
    result, _ = run(early, Fake(_third_passes))
    assert result.used.calls == 1 + 4 + 3, "the fourth is never judged"
    assert [c.text[:10] for c in result.candidates] == ["answer 0.2"]
    late = imported(*front, [evaluator(top_k=2, first_k=2)])
    result, _ = run(late, Fake(_third_passes))
    assert result.used.calls == 1 + 4 + 4
    assert [c.text[:10] for c in result.candidates] == ["answer 0.2", "answer 0.1"]


def test_5_without_top_k_all_go_on_where_too_few_pass() -> None:
    what = imported([asserter()], [generator(samples=4)], [evaluator(first_k=2)])
    result, _ = run(what, Fake(_third_passes))
    assert len(result.candidates) == 4


# 6. PairRM.


@pytest.mark.parametrize("provider", ["", "Together_API"])
def test_6_pairrm_ranks_without_a_call(provider: str) -> None:
    what = imported([generator(samples=4)], [pairrm(2, provider)], [fuser()])
    assert what.shape == "1Gx4 > R(PairRM,k2) > 1F"
    assert what.architecture.bound().calls == 5
    rank = entry(what, "rank")
    assert rank["method"] == "scorer"
    result, model = run(what)
    assert result.used.calls == len(model.requests) == 5
    prompt = asked(model, "fuse")[0]
    assert sum(f"answer 0.{n} of" in prompt for n in range(4)) == 2


def test_6_without_its_weights_pairrm_says_how_to_get_them() -> None:
    what = imported([generator(samples=4)], [pairrm()], choices=Choices({"gpt-4o": "fake/any"}))
    with archon.Session(pool=None) as session, pytest.raises(ConfigError) as caught:
        archon.run(what.architecture, QUESTION, session=session)
    assert "hf download llm-blender/PairRM-hf" in str(caught.value)


def test_6_another_model_in_place_of_pairrm_scores_or_is_asked() -> None:
    fake_ = imported([generator(samples=4)], [pairrm()], choices=Choices(all_models="fake/any"))
    assert entry(fake_, "rank")["method"] == "scorer"
    gpt = imported([generator(samples=4)], [pairrm()], choices=Choices(all_models="openai/gpt-4o"))
    assert "method" not in entry(gpt, "rank")
    assert gpt.architecture.bound().calls == 5
    assert said(gpt, "one call more")


# 7. Placement: allowed, and said.


@pytest.mark.parametrize(
    ("layers", "hint"),
    [
        (([asserter()], [generator(samples=2)], [evaluator()]), "judged in layer 3"),
        (([asserter()], [generator(samples=2)], [fuser()]), "no evaluator judges"),
        (([asserter()], [generator(samples=2)]), "generators in layer 2"),
        (([generator(samples=2)], [critic()], [verifier()], [fuser()]), "behind this critic"),
        (([generator()], [generator()], [fuser()]), "generators in layer 2"),
        (([generator(), fuser()],), "fuser and generator in one layer"),
        (([generator(samples=2)], [ranker(1), ranker(1)]), "2 rankers in one layer"),
        (([generator(samples=2)], [fuser(), fuser()]), "several fusers in the last layer"),
    ],
)
def test_7_what_the_paper_would_not_do_runs_and_is_said(layers: Any, hint: str) -> None:
    what = imported(*layers)
    assert said(what, hint), what.remarks
    result, _ = run(what)
    assert result.answer
    assert result.used.calls <= what.architecture.bound().calls


@pytest.mark.parametrize("last", [generator(), ranker(1), verifier(), fuser()])
def test_7_an_architecture_may_end_with_anything(last: Any) -> None:
    what = imported([generator(samples=2)], [last])
    assert run(what)[0].answer


def test_7_a_fuser_with_nothing_to_fuse_generates() -> None:
    what = imported([generator(), fuser(samples=2)], [critic()], [fuser()])
    assert str(what.architecture) == "generate | generate-2 > critique > fuse"
    assert what.architecture.bound().calls == 5
    assert said(what, "nothing is there to fuse")


@pytest.mark.parametrize("first", [critic(), ranker(), verifier(), evaluator()])
def test_7_what_needs_candidates_cannot_come_first(first: Any) -> None:
    with pytest.raises(ConfigError, match=r"mine\.json:5:7: .*needs? 'candidates'") as caught:
        imported([first], [generator()])
    assert "generate" in str(caught.value)


# 8. Several final candidates.


def test_8_of_several_final_answers_the_choice_is_no_chance_and_said() -> None:
    what = imported([generator(samples=3)])
    assert said(what, "up to 3 answers come out: the original picks one by chance")
    assert run(what)[0].answer == run(what)[0].answer == "answer 0.0 of openai/gpt-4o"
    assert not said(imported([generator(samples=3)], [fuser()]), "answers come out")


# 9. Critiques end with the candidates that they are of.


def test_9_critiques_do_not_outlive_their_candidates() -> None:
    what = imported([generator(samples=2)], [critic()], [fuser(), fuser()], [ranker(2)], [fuser()])
    _, model = run(what)
    first, *rest = asked(model, "fuse")
    assert "review of answer" in first
    assert "review of answer" not in asked(model, "rank")[0]
    assert "review of answer" not in rest[-1]


def test_9_critiques_travel_with_their_candidates_through_ranker_and_verifier() -> None:
    what = imported([generator(samples=4)], [critic()], [ranker(2)], [verifier()], [fuser()])
    _, model = run(what)
    prompt = asked(model, "fuse")[0]
    assert prompt.count(" review of answer") == prompt.count("answer 0.") == 2


# 10. Unit tests in the question, once, on a copy.


def test_10_the_tests_stand_once_in_the_question_and_not_for_the_evaluator() -> None:
    what = imported([asserter(2)], [generator(samples=2)], [evaluator(top_k=1)], [fuser()])
    _, model = run(what)
    assert len(asked(model, "generate")) == 2
    for prompt in (*asked(model, "generate"), *asked(model, "fuse")):
        assert prompt.count("The answer has 0.") == 1
    for prompt in asked(model, "test_eval"):
        conversation = prompt.partition("conversation")[2].partition("answer")[0]
        assert "The answer has 0." not in conversation


def test_10_every_later_layer_sees_the_tests() -> None:
    what = imported(
        [asserter()], [generator(samples=3)], [critic()], [ranker(2)], [verifier()], [fuser()]
    )
    _, model = run(what)
    for step in ("generate", "critique", "rank", "reason", "verdict", "fuse"):
        assert asked(model, step)
        assert all(prompt.count("The answer has 0.") == 1 for prompt in asked(model, step)), step


def test_10_the_evaluator_sees_them_where_they_are_not_to_be_removed() -> None:
    keeping = {**evaluator(), "remove_unit_tests_from_prompt": False}
    what = imported([asserter(2)], [generator(samples=2)], [keeping])
    assert entry(what, "test_eval")["with_tests"] is True


def test_10_the_question_itself_is_left_alone() -> None:
    what = imported([asserter()], [generator(samples=2)])
    task = archon.Task.of(QUESTION)
    model = fake()
    with archon.Session(pool=None, backends={"http": model}) as session:
        for _ in range(3):
            archon.run(what.architecture, task, session=session, mode="off")
    assert task == archon.Task.of(QUESTION)
    counts = {prompt.count("The answer has 0.") for prompt in asked(model, "generate")}
    assert counts == {1}


def test_10_without_a_cap_there_are_as_many_tests_as_the_paper_states() -> None:
    what = imported([asserter(None)], [generator()])
    assert entry(what, "unit_tests") == {"count": 10, "least": 5}


# 11. Providers.


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("Together_API", "zai-org/GLM-4.6", "together_ai/zai-org/GLM-4.6"),
        ("OpenAI_API", "gpt-4o", "openai/gpt-4o"),
        ("Anthropic_API", "claude-sonnet-4-6", "anthropic/claude-sonnet-4-6"),
        ("Google_API", "gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("Groq_API", "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
        ("Bedrock_API", "bedrock/meta.llama3-70b-instruct-v1:0",
         "bedrock/meta.llama3-70b-instruct-v1:0"),
        ("Bedrock_API", "meta.llama3-70b-instruct-v1:0", "bedrock/meta.llama3-70b-instruct-v1:0"),
        ("vLLM", "facebook/opt-125m", "local/facebook/opt-125m"),
        ("fake", "any", "fake/any"),
    ],
)  # fmt: skip
def test_11_every_provider_has_its_name_here(provider: str, model: str, name: str) -> None:
    what = imported([component("generator", model, provider)])
    assert [m.model for m in what.architecture.models()] == [name]


def test_11_tgi_is_a_server_that_speaks_the_openai_protocol() -> None:
    what = imported([component("generator", "http://localhost:8080/v1", "tgi")])
    [model] = what.architecture.models()
    assert model.base_url == "http://localhost:8080/v1"
    assert model.provider == "openai"


def test_11_an_unknown_provider_is_an_error_that_says_what_would_be_right() -> None:
    with pytest.raises(ConfigError, match=r"mine\.json:5:7: .*did you mean 'OpenAI_API'") as caught:
        imported([component("generator", "gpt-4o", "OPENAI_API")])
    assert "backend" in str(caught.value)


# 12. Names are not to be trusted.


def test_12_files_are_told_apart_by_content_and_both_name_and_hash_are_shown() -> None:
    one = imported([generator(samples=5)], name="sample_10")
    two = imported([generator(samples=10)], name="sample_10")
    assert one.architecture.name == two.architecture.name == "sample_10"
    shown = [what.to_json() for what in (one, two)]
    assert len({row["digest"] for row in shown}) == 2
    assert [row["layers"] for row in shown] == ["1Gx5", "1Gx10"]
    hashes = {what.architecture.metadata["original"]["sha256"] for what in (one, two)}
    assert len(hashes) == 2


# 13. Parity: the same calls in the same order, and the same final candidates.


def test_13_calls_order_and_final_candidates_are_the_original_s() -> None:
    what = imported(
        [generator(), component("generator", QWEN, "Together_API", samples=2)],
        [critic()], [ranker(2)], [verifier()], [fuser(), fuser(samples=2)],
    )  # fmt: skip
    result, model = run(what)
    steps = [role(request.messages[-1].content) for request, _ in model.requests]
    order = ["generate", "critique", "rank", "reason", "verdict", "fuse"]
    assert sorted(steps, key=order.index) == [s for s in order for _ in range(steps.count(s))]
    assert [steps.index(step) for step in order] == sorted(steps.index(step) for step in order)
    # by hand: 3 generators' samples, 1 critic, 1 ranker, 2 x 2 for the verifier, 3 fusions
    assert Counter(steps) == {
        "generate": 3, "critique": 1, "rank": 1, "reason": 2, "verdict": 2, "fuse": 3
    }  # fmt: skip
    assert result.used.calls == what.architecture.bound().calls == 12
    assert len(result.candidates) == 3


def test_13_equal_answers_are_each_judged_as_in_the_original() -> None:
    what = imported([generator(samples=3)], [verifier()], [fuser()])
    same = Fake(lambda request, draw: passing(request, draw) if role(
        request.messages[-1].content) != "generate" else "the same")  # fmt: skip
    assert run(what, same)[0].used.calls == 3 + 2 * 3 + 1


def test_13_a_single_candidate_is_ranked_by_a_call_as_in_the_original() -> None:
    what = imported([generator(samples=2)], [fuser()], [critic()], [ranker(1)])
    assert what.architecture.bound().calls == 2 + 1 + 1 + 1
    assert run(what)[0].used.calls == 5


def test_13_many_candidates_stand_in_one_prompt_as_in_the_original() -> None:
    what = imported([generator(samples=30)], [critic()], [ranker(5)], [fuser()])
    assert what.architecture.bound().calls == 30 + 1 + 1 + 1
    assert run(what)[0].used.calls == 33
