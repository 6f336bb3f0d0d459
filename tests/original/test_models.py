"""Models of original files: replacements, limits, and what a model does not take."""

from __future__ import annotations

from typing import Any

import pytest

import archon
from archon import ConfigError
from archon.backends.prices import listed, row_of
from archon.model import Model
from archon.original import Choices
from archon.original.retired import RETIRED
from archon.types import Message
from tests.original.passing import fake
from tests.original.samples import CLAUDE, QWEN, component, generator, imported, pairrm

RETIRED_QWEN = component("generator", QWEN, "Together_API")
HERE = f"together_ai/{QWEN}"


def only(choices: Choices | None, *given: Any) -> list[Model]:
    return list(imported(list(given), choices=choices).architecture.models())


def test_a_retired_model_has_a_stand_in_and_it_is_said() -> None:
    what = imported([RETIRED_QWEN])
    [model] = what.architecture.models()
    assert model.model == RETIRED[HERE]
    assert dict(what.retired) == {HERE: RETIRED[HERE]}
    assert f"{HERE} -> {RETIRED[HERE]}" in what.remarks[0]
    assert f"# in place of Together_API {QWEN}" in what.yaml


@pytest.mark.parametrize("choices", [Choices(keep_models=True), Choices({QWEN: HERE})])
def test_whoever_wants_keeps_a_retired_model(choices: Choices) -> None:
    what = imported([RETIRED_QWEN], choices=choices)
    [model] = what.architecture.models()
    assert model.model == HERE
    assert not what.remarks
    assert not what.retired


def test_stand_ins_are_listed_with_a_price_and_are_no_retired_models() -> None:
    for old, new in RETIRED.items():
        assert listed(Model(new)) is not None, f"{new} is not listed"
        assert new not in RETIRED, f"{old} is replaced by {new}, which is retired itself"
        assert old.partition("/")[0] == new.partition("/")[0], "another key would be needed"


@pytest.mark.parametrize("key", [QWEN, HERE])
def test_a_map_names_models_as_the_file_does_or_as_they_are_called_here(key: str) -> None:
    [model] = only(Choices({key: "fake/mine"}), RETIRED_QWEN)
    assert model.model == "fake/mine"
    assert (model.temperature, model.max_tokens) == (0.7, 2048)


def test_a_map_may_change_settings() -> None:
    entry = {"model": "openai/mine", "max_tokens": 9, "base_url": "http://localhost:1/v1"}
    [model] = only(Choices({QWEN: entry}), RETIRED_QWEN)
    assert (model.model, model.max_tokens, model.temperature) == ("openai/mine", 9, 0.7)
    assert model.base_url == "http://localhost:1/v1"
    [kept] = only(Choices({QWEN: {"temperature": 0.1}}), RETIRED_QWEN)
    assert (kept.model, kept.temperature) == (HERE, 0.1)


@pytest.mark.parametrize("wrong", [None, "", 3, ["a"], {"model": 3}])
def test_a_map_with_rubbish_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"the replacement of 'a' is a model's name or"):
        Choices({"a": wrong})


def test_a_map_with_an_unknown_setting_is_an_error_at_the_component() -> None:
    with pytest.raises(ConfigError, match=r"mine\.json:5:7: .*did you mean 'temperature'"):
        imported([generator()], choices=Choices({"gpt-4o": {"temprature": 1}}))


def test_one_model_in_place_of_all_others() -> None:
    what = imported(
        [RETIRED_QWEN, generator()], [pairrm()], choices=Choices(all_models="local/nano")
    )
    assert {model.model for model in what.architecture.models()} == {"local/nano"}
    assert not what.retired


def test_equal_models_with_equal_settings_are_one_entry() -> None:
    what = imported([generator(), generator(), generator(temperature=1.0)])
    assert what.yaml.count("model: openai/gpt-4o") == 2
    assert "gpt-4o-2:" in what.yaml


# Limits


def test_max_tokens_is_clamped_to_what_the_model_gives() -> None:
    limit = row_of(Model("openai/gpt-4o")).reply  # type: ignore[union-attr]
    assert limit is not None
    what = imported([generator(max_tokens=200_000)])
    [model] = what.architecture.models()
    assert model.max_tokens == limit
    assert f"max_tokens 200,000 is above what openai/gpt-4o gives: {limit:,}" in what.remarks[0]
    assert not imported([generator(max_tokens=limit)]).remarks


def test_where_only_the_context_is_listed_a_reply_may_take_half_of_it() -> None:
    name = "together_ai/Qwen/Qwen2.5-72B-Instruct"
    row = row_of(Model(name))
    assert row is not None
    assert (row.reply, row.context) == (None, 32768)
    [model] = only(None, component("generator", name.partition("/")[2], "Together_API",
                                   max_tokens=200_000))  # fmt: skip
    assert model.max_tokens == 16384


def test_an_unlisted_limit_is_said_and_nothing_is_clamped() -> None:
    what = imported([component("generator", "nobody/knows", "Together_API", max_tokens=200_000)])
    [model] = what.architecture.models()
    assert model.max_tokens == 200_000
    assert "no limit is listed for together_ai/nobody/knows" in what.remarks[0]


def test_a_local_model_ends_at_its_context_by_itself() -> None:
    assert not imported(
        [generator(max_tokens=200_000)], choices=Choices(all_models="local/nano")
    ).remarks  # fmt: skip


# Quirks


@pytest.mark.parametrize(
    ("name", "takes"),
    [("o1-mini-2024-09-12", False), ("o3", False), ("gpt-5-mini", False), ("gpt-5.4", False),
     ("gpt-5-chat-latest", True), ("gpt-4o", True), ("gpt-4.1", True)],
)  # fmt: skip
def test_reasoning_models_of_openai_take_no_temperature(name: str, takes: bool) -> None:
    [model] = only(Choices(keep_models=True), component("generator", name))
    assert (model.temperature == 0.7) is takes


def test_other_providers_take_their_temperature() -> None:
    [model] = only(None, component("generator", CLAUDE, "Anthropic_API"))
    assert model.temperature == 0.7


def test_no_system_puts_the_system_message_in_front_of_the_question() -> None:
    what = imported([generator(no_system=True)])
    assert "gets no system message" in what.remarks[0]
    model = fake()
    with archon.Session(pool=None, backends={"http": model}) as session:
        task = archon.Task.of("6 * 7?", system="Answer in Latin.")
        archon.run(what.architecture, task, session=session)
    [(request, _)] = model.requests
    assert request.messages == (Message("user", "Answer in Latin.\n\n6 * 7?"),)


def test_o1_mini_has_no_system_role_whatever_the_file_says() -> None:
    [model] = only(Choices(keep_models=True), component("generator", "o1-mini-2024-09-12"))
    assert not model.system_role


def test_a_model_without_a_system_role_keeps_the_order_of_turns() -> None:
    plain, odd = Model("fake/a"), Model("fake/a", system_role=False)
    turns = [Message("system", "s"), Message("user", "a"), Message("assistant", "b"),
             Message("user", "c")]  # fmt: skip
    assert plain.turns(turns) == tuple(turns)
    assert [(m.role, m.content) for m in odd.turns(turns)] == [
        ("user", "s\n\na"), ("assistant", "b"), ("user", "c"),
    ]  # fmt: skip
    assert odd.turns(turns[1:]) == tuple(turns[1:])
    assert plain.signature != odd.signature
    assert "system_role" not in plain.settings, "old replies keep their keys"
