from __future__ import annotations

import json
from pathlib import Path

import pytest

import archon as ours
from tests.cli.conftest import Archon, data
from tests.original.samples import component, fuser, generator, pairrm, text_of, write

ODD = text_of([generator(samples=2, top_k=1)], [fuser()], name="odd")
BROKEN = ODD.replace('"generator"', '"generator"x"', 1)


def test_one_file_goes_to_stdout_and_remarks_to_stderr(archon: Archon) -> None:
    write(Path(), "odd.json", ODD)
    result = archon("import", "odd.json")
    assert ours.loads(result.stdout) == ours.load("odd.json")
    assert result.stderr == (
        "archon: odd.json: line 5: `top_k` of a generator has no effect in the original; it is"
        " kept as metadata\n"
    )


def test_check_only_reports(archon: Archon) -> None:
    write(Path(), "odd.json", ODD)
    before = sorted(Path().rglob("*"))
    result = archon("import", "odd.json", "--check")
    for word in ("odd.json", "1Gx2 > 1F", ours.load("odd.json").digest(), "3"):
        assert word in result.stdout
    assert "`top_k`" in result.stderr
    assert sorted(Path().rglob("*")) == before
    archon("import", "odd.json", "--check", "--out", "x", code=2)


def test_out_writes_a_whole_file_and_replaces_another_only_by_force(archon: Archon) -> None:
    write(Path(), "odd.json", ODD)
    result = archon("import", "odd.json", "--out", "new/place")
    written = Path("new/place/odd.yaml")
    assert f"wrote {written}" in result.stderr
    assert ours.load(written) == ours.load("odd.json")
    archon("import", "odd.json", "--out", "new/place")
    written.write_text("mine")
    refused = archon("import", "odd.json", "--out", "new/place", code=2)
    assert "--force replaces it" in refused.stderr
    assert written.read_text() == "mine"
    archon("import", "odd.json", "--out", "new/place", "--force")
    assert ours.load(written) == ours.load("odd.json")
    assert [path.name for path in written.parent.iterdir()] == ["odd.yaml"]


def test_json_says_everything(archon: Archon) -> None:
    write(Path(), "odd.json", ODD)
    said = data(archon("import", "odd.json", "--json"))
    [one] = said["imported"]
    assert (one["file"], one["name"], one["layers"]) == ("odd.json", "odd", "1Gx2 > 1F")
    assert (one["calls"], one["written"]) == (3, None)
    assert one["digest"] == ours.load("odd.json").digest()
    assert len(one["remarks"]) == 1
    assert (said["failed"], said["skipped"]) == ([], [])


def folder() -> None:
    write(Path(), "in/odd.json", ODD)
    write(Path(), "in/deep/er/odd.json", text_of([generator()]))
    write(Path(), "in/broken.json", BROKEN)
    write(Path(), "in/wrong.json", text_of([component("generater")]))
    write(Path(), "in/package.json", '{"name": "x"}')
    write(Path(), "in/.hidden/odd.json", "{")
    write(Path(), "in/notes.txt", "not JSON")


def test_a_folder_goes_on_past_what_is_wrong_and_reports_all_at_the_end(archon: Archon) -> None:
    folder()
    result = archon("import", "in", "--out", "out", code=2)
    written = sorted(path.as_posix() for path in Path("out").rglob("*") if path.is_file())
    assert written == ["out/deep/er/odd.yaml", "out/odd.yaml"]
    lines = result.stderr.splitlines()
    assert "archon: in/broken.json:6:28: not JSON: text after the closing quote" in result.stderr
    assert "archon: in/wrong.json:6:9: unknown component type 'generater'" in result.stderr
    assert "archon: in/package.json: skipped, it has no `layers`" in lines
    assert lines[-1] == "archon: 2 imported, 2 failed, 1 skipped"
    assert "deep/er/odd.json" in result.stdout
    assert "Traceback" not in result.output


def test_a_folder_as_json(archon: Archon) -> None:
    folder()
    said = data(archon("import", "in", "--check", "--json", code=2))
    assert [one["file"] for one in said["imported"]] == ["in/deep/er/odd.json", "in/odd.json"]
    assert [one["file"] for one in said["failed"]] == ["in/broken.json", "in/wrong.json"]
    assert said["skipped"] == ["in/package.json"]


def test_a_folder_without_mistakes_ends_well(archon: Archon) -> None:
    write(Path(), "in/odd.json", ODD)
    assert archon("import", "in", "--check").stderr.endswith("1 imported\n")


def test_repair_mends_what_has_one_plausible_change(archon: Archon) -> None:
    folder()
    before = Path("in/broken.json").read_text()
    said = data(archon("import", "in", "--out", "out", "--repair", "--json", code=2))
    fixes = {one["file"]: one["fixes"] for one in said["imported"]}
    assert fixes["in/broken.json"] == ["line 6, column 28: dropped 'x\"'"]
    assert ours.load("out/broken.yaml") == ours.load("in/odd.json")
    assert Path("in/broken.json").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["in"], "a folder needs --out DIR for the YAML files, or --check"),
        (["empty", "--check"], "there are no JSON files in this folder"),
        (["other", "--check"], "none of 1 JSON files is an architecture of the original"),
        (["in/odd.json", "--out", "in/odd.json"], "--out names a folder, and this is a file"),
        (["in/package.json"], "this is no architecture of the original Archon"),
        (["in/odd.json", "--models", "list.yaml"], "a map of models is written"),
        (["in/odd.json", "--models", "none.yaml"], "no such file"),
        (["in/odd.json", "--all-models", "gpt 4"], "a model is named like"),
        (["in/notes.txt"], "not JSON: not is no JSON value"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_exit_code_2(
    archon: Archon, arguments: list[str], what: str
) -> None:
    folder()
    Path("empty").mkdir()
    write(Path(), "other/package.json", "{}")
    write(Path(), "list.yaml", "- a\n")
    result = archon("import", *arguments, code=2)
    assert what in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_models_can_be_replaced_by_a_map_or_all_at_once(archon: Archon) -> None:
    write(Path(), "odd.json", ODD)
    write(Path(), "map.yaml", "gpt-4o: {model: fake/mine, max_tokens: 7}\nnobody: fake/x\n")
    result = archon("import", "odd.json", "--models", "map.yaml")
    assert {m.model for m in ours.loads(result.stdout).models()} == {"fake/mine"}
    assert "archon: --models: 'nobody' is in none of these files" in result.stderr
    result = archon("import", "odd.json", "--all-models", "local/nano")
    assert {m.model for m in ours.loads(result.stdout).models()} == {"local/nano"}


def test_every_command_takes_the_file_and_says_what_is_odd_once(archon: Archon) -> None:
    text = text_of([component("generator", "words", "fake", samples=2, top_k=1)], name="odd")
    write(Path(), "odd.json", text)
    commands = [
        ["run", "odd.json", "What is 6 * 7?"], ["plan", "odd.json"], ["show", "odd.json"],
        ["eval", "odd.json", "--benchmark", "arithmetic", "--limit", "2"],
    ]  # fmt: skip
    for command in commands:
        result = archon(*command)
        assert result.stderr.count("`top_k` of a generator has no effect") == 1, command
    plan = json.loads(archon("plan", "odd.json", "--json").stdout)
    assert plan["total"]["calls"] == 2


def test_a_search_configuration_becomes_a_search_file(archon: Archon) -> None:
    write(Path(), "in/one.json", text_of([component("generator", "words", "fake")]))
    config = {
        "models_available": ["one.json"], "model_top_k_choices": [1], "benchmark": "mt_bench",
        "fuser_layer_1_choices": [0, 1], "maximum_inference_calls": 9,
    }  # fmt: skip
    write(Path(), "in/search.json", json.dumps(config))
    result = archon("import", "in", "--out", "out")
    assert result.stderr.endswith("archon: 1 imported, 1 search configurations imported\n")
    assert "architectures: 2" in archon("search", "out/search.yaml", "--count").stdout
    alone = archon("import", "in/search.json")
    assert alone.stdout == Path("out/search.yaml").read_text()


def test_prompts_are_shown_where_the_weights_of_a_scorer_are_missing(archon: Archon) -> None:
    words = component("generator", "words", "fake", samples=2)
    write(Path(), "pairs.json", text_of([words], [pairrm()]))
    result = archon("run", "pairs.json", "What is 6 * 7?", "--show-prompts")
    assert "fake/words, samples: 2" in result.stdout
    assert "hf download llm-blender/PairRM-hf" in archon("run", "pairs.json", "?", code=2).stderr
