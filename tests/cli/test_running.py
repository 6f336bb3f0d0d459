from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Archon, data


def test_the_answer_is_all_of_stdout(archon: Archon) -> None:
    result = archon("run", "one.yaml", "Which word?")
    assert len(result.stdout.splitlines()) == 1
    assert "1 calls" in result.stderr
    assert "$0" in result.stderr


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_a_question_from_stdin(archon: Archon, arguments: tuple[str, ...]) -> None:
    result = archon("run", "one.yaml", *arguments, "--json", input="  from stdin?\n")
    assert data(result)["task"]["messages"] == [{"role": "user", "content": "  from stdin?\n"}]


def test_bytes_that_are_no_text_do_not_crash(archon: Archon) -> None:
    result = archon("run", "one.yaml", "--json", input=b"caf\xff?")
    assert data(result)["task"]["messages"][0]["content"] == "caf\ufffd?"
    result = archon("run", "one.yaml", "lone \udcff surrogate", "--json", "--seed", "3")
    assert "\udcff" not in result.stdout


def test_an_empty_question_is_a_mistake(archon: Archon) -> None:
    assert "there is no question" in archon("run", "one.yaml", input="", code=2).stderr


def test_fresh_by_default_and_reuse_when_asked(archon: Archon) -> None:
    first = data(archon("run", "one.yaml", "q", "--json"))
    second = data(archon("run", "one.yaml", "q", "--json"))
    assert first["seed"] != second["seed"]
    same = data(archon("run", "one.yaml", "q", "--json", "--mode", "reuse", "--seed", "4"))
    again = data(archon("run", "one.yaml", "q", "--json", "--mode", "only", "--seed", "4"))
    assert (same["paid"]["calls"], again["paid"]["calls"]) == (1, 0)
    assert same["answer"] == again["answer"]
    assert (
        "leave out --seed"
        in archon("run", "one.yaml", "q", "--mode", "fresh", "--seed", "4", code=2).stderr
    )
    replay = data(
        archon("run", "one.yaml", "q", "--json", "--mode", "only", "--seed", str(first["seed"]))
    )
    assert replay["answer"] == first["answer"]


def test_messages_system_kind_and_schema(archon: Archon) -> None:
    Path("chat.json").write_text(json.dumps([{"role": "user", "content": "a"}]))
    Path("schema.json").write_text('{"type": "object"}')
    task = data(
        archon(
            "run", "one.yaml", "b", "--messages", "chat.json", "--system", "s", "--answer", "json",
            "--json-schema", "schema.json", "--json",
        )
    )["task"]  # fmt: skip
    assert [m["content"] for m in task["messages"]] == ["s", "a", "b"]
    assert (task["answer"], task["schema"]) == ("json", '{"type":"object"}')


def test_what_is_wrong_with_files(archon: Archon) -> None:
    Path("chat.json").write_text('{\n"a": ]')
    assert (
        "chat.json:2: not JSON"
        in archon("run", "one.yaml", "--messages", "chat.json", code=2).stderr
    )
    Path("chat.json").write_text('[{"role": "user", "content": [{"type": "image_url"}]}]')
    assert "only text" in archon("run", "one.yaml", "--messages", "chat.json", code=2).stderr
    Path("chat.json").write_text('{"role": "user"}')
    assert "JSON list" in archon("run", "one.yaml", "--messages", "chat.json", code=2).stderr
    assert "no such file" in archon("run", "one.yaml", "--messages", "nope.json", code=2).stderr


def test_trace(archon: Archon) -> None:
    result = archon(
        "run", "voted.yaml", "q", "--answer", "number", "--trace", "--trace-file", "trace.json"
    )
    assert "generate: done, 5 candidates, 5 calls" in result.stderr
    trace = json.loads(Path("trace.json").read_text())["trace"]
    assert [record["path"] for record in trace] == ["generate", "vote"]


def test_a_budget_that_cuts_the_run_short(archon: Archon) -> None:
    result = archon("run", "voted.yaml", "q", "--answer", "exact", "--budget", "calls=2")
    assert "cut short: the budget of calls" in result.stderr
    assert "2 calls" in result.stderr
    assert (
        "unknown limit 'call' in the budget; did you mean 'calls'?"
        in archon("run", "one.yaml", "q", "--budget", "call=2", code=2).stderr
    )
    archon("run", "one.yaml", "q", "--budget", "calls=0", code=2)


def test_show_prompts_sends_nothing_and_needs_no_key(archon: Archon, home: Path) -> None:
    Path("remote.yaml").write_text(
        "stages:\n  - [generate: {model: openai/gpt-4o, samples: 3}, generate: {model: a/b}]\n"
        "  - fuse: {model: openai/gpt-4o}\n"
    )
    result = archon("run", "remote.yaml", "What?", "--show-prompts", "--system", "Be kind.")
    assert "1. openai/gpt-4o, samples: 3" in result.stdout
    assert "2. a/b, samples: 1" in result.stdout
    assert "[system]\nBe kind." in result.stdout
    shown = data(archon("run", "remote.yaml", "What?", "--show-prompts", "--json"))
    assert [entry["samples"] for entry in shown] == [3, 1]
    assert shown[0]["messages"] == [{"role": "user", "content": "What?"}]
    assert not (home / "pool.db").exists()


def test_a_missing_key_is_one_line_before_any_call(archon: Archon) -> None:
    Path("remote.yaml").write_text("stages: [generate: {model: openai/gpt-4o}]\n")
    result = archon("run", "remote.yaml", "q", code=2)
    assert result.stderr.count("\n") == 1
    assert "OPENAI_API_KEY" in result.stderr
    assert result.stdout == ""


def test_no_answer_is_a_failure(archon: Archon) -> None:
    Path("strict.yaml").write_text(
        "stages:\n  - generate: {model: fake/words, samples: 5}\n"
        "  - vote: {answer: choice, min_share: 1.0}\n"
    )
    result = archon("run", "strict.yaml", "q", "--answer", "choice", code=1)
    assert "no answer:" in result.stderr
    assert result.stdout == ""
