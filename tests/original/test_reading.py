"""Original files that are wrong: one line says where, what is wrong and what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon import ConfigError
from archon.original import Choices, Imported, import_document, import_file
from archon.original.components import TYPES
from archon.original.json_text import Document
from tests.original.samples import component, fuser, generator, imported, ranker, text_of, write

HEAD = '{\n "name": "x",\n "layers": '


def one(settings: str) -> str:
    """Return a file with one component, which stands in line 4."""
    return f"{HEAD}[[\n  {{{settings}}}\n ]]\n}}"


GOOD = '"type": "generator", "model": "gpt-4o", "model_type": "OpenAI_API"'


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[]", 1, "this is no architecture of the original Archon"),
        ('{"name": "x"}', 1, "this is no architecture of the original Archon"),
        ('{"layers": {}}', 1, "`layers` is a list of at least one layer, got {}"),
        (f"{HEAD}[]}}", 3, "`layers` is a list of at least one layer, got []"),
        (f"{HEAD}[[]]}}", 3, "a layer is a list of at least one component, got []"),
        (f"{HEAD}[null]}}", 3, "a layer is a list of at least one component, got None"),
        (f"{HEAD}[[1]]}}", 3, "a component is an object, got 1"),
        (f'{HEAD}[{{"branches": 1, "models": 3}}]}}', 3, "a layer is a list"),
        (f'{HEAD}[{{"brunches": 1, "models": []}}]}}', 3, "did you mean 'branches'"),
        ('{"name": 3, "layers": [[]]}', 1, "`name` is text, got 3"),
        (one('"model": "gpt-4o"'), 4, "a component needs a `type`: one of generator, fuser"),
        (one('"type": "generater"'), 4, "unknown component type 'generater'; did you mean 'gen"),
        (one('"type": ["a"]'), 4, "unknown component type ['a']"),
        (one('"type": "fuser", "model_type": "vLLM"'), 4, "a fuser needs a `model`"),
        (one('"type": "fuser", "model": ""'), 4, "a fuser needs a `model`"),
        (one('"type": "generator", "model": "gpt-4o"'), 4, "a generator needs a `model_type`"),
        (one(f'{GOOD}, "samples": "5"'), 4, "`samples` is a whole number of at least 1, got '5'"),
        (one(f'{GOOD}, "samples": 0'), 4, "`samples` is a whole number of at least 1, got 0"),
        (one(f'{GOOD}, "samples": true'), 4, "`samples` is a whole number of at least 1, got T"),
        (one(f'{GOOD}, "samples": 2.5'), 4, "`samples` is a whole number of at least 1, got 2.5"),
        (one(f'{GOOD}, "samples": 1000000'), 4, "samples"),
        (one(f'{GOOD}, "temperature": "hot"'), 4, "`temperature` is a number, got 'hot'"),
        (one(f'{GOOD}, "temperature": -1'), 4, "`temperature` is a number, got -1"),
        (one(f'{GOOD}, "temperature": 50'), 4, "temperature"),
        (one(f'{GOOD}, "max_tokens": 1e4'), 4, "`max_tokens` is a whole number"),
        (one(f'{GOOD}, "no_system": 1'), 4, "`no_system` is true or false, got 1"),
        (one('"type": "generator", "model": "a b", "model_type": "vLLM"'), 4, "a model is named"),
    ],
)  # fmt: skip
def test_a_mistake_has_file_line_and_remedy(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    path = write(tmp_path, "wrong.json", text)
    for read in (import_file, archon.load) if '"layers"' in text else (import_file,):
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert caught.value.where.startswith(f"{path}:{line}")
        assert what in caught.value.message
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe{\x00}\x00", "not UTF-8 text"),
        (b'{"layers": "' + b"x" * 10_000_000 + b'"}', "larger than 1 MiB"),
        (b"\x00\x01\x02", "not JSON"),
        (b"[" * 100_000, "nested deeper than 32 levels"),
    ],
)
def test_files_that_are_no_configuration_are_refused(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_bytes(content)
    for read in (import_file, archon.load):
        with pytest.raises(ConfigError, match=what):
            read(path)


def test_a_file_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "ensemble.json", text_of([generator()]))
    with pytest.raises(ConfigError, match=r"no such file; did you mean 'ensemble\.json'"):
        archon.load(tmp_path / "ensembel.json")


def test_null_is_as_good_as_left_out() -> None:
    with_null = generator(samples=None, max_tokens=2048)
    assert imported([with_null]).architecture == imported([generator()]).architecture


def test_what_the_original_fails_on_runs_or_is_said() -> None:
    bare = {"type": "generator", "model": "gpt-4o", "model_type": "OpenAI_API"}
    what = imported([bare], [ranker(None)])
    assert len([r for r in what.remarks if "on which the original fails" in r]) == 3
    [model, _] = what.architecture.models()
    assert (model.temperature, model.max_tokens) == (None, None)


def test_our_own_architectures_may_be_json_too(tmp_path: Path) -> None:
    data = {"models": {"m": "fake/a"}, "stages": [{"generate": {"model": "m"}}]}
    path = write(tmp_path, "ours.json", json.dumps(data))
    assert str(archon.load(path)) == "generate"
    assert not archon.load(path).metadata


def test_the_name_is_the_file_s_where_it_has_none(tmp_path: Path) -> None:
    path = write(tmp_path, "no-name.json", text_of([generator()], name=""))
    assert archon.load(path).name == "no-name"


def test_loading_says_what_is_odd_as_lint(tmp_path: Path) -> None:
    path = write(tmp_path, "odd.json", text_of([generator(top_k=1)]))
    arch = archon.load(path)
    assert list(arch.lint()) == list(arch.remarks)
    assert "`top_k` of a generator" in arch.remarks[0]


@pytest.mark.parametrize("name", ["a\nstages: []", "x # y", "{a: b}", "é\u2028x", '"', "- a", " "])
def test_no_name_escapes_from_its_place_in_the_yaml(name: str) -> None:
    what = imported([generator(comment=name)], [fuser()], name=name)
    again = archon.loads(what.yaml)
    assert again == what.architecture
    assert again.name == name
    assert again.metadata == what.architecture.metadata


def test_neither_models_nor_fields_escape_from_their_comments() -> None:
    odd = component("generator", "a\nstages: []\u2028name: b") | {"x\ny: 1": 1}
    what = imported([odd], choices=Choices(all_models="fake/any"))
    again = archon.loads(what.yaml)
    assert again == what.architecture
    assert again.name == "mine"
    assert all("\n" not in remark for remark in what.remarks)


def test_an_address_with_line_breaks_stays_in_its_place() -> None:
    what = imported([component("generator", "http://x/\nstages: []\n", "tgi")])
    assert archon.loads(what.yaml) == what.architecture


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)  # fmt: skip
fields = st.sampled_from(
    ["temperature", "max_tokens", "samples", "top_k", "first_k", "model", "model_type", "type"]
)
components = st.builds(
    lambda kind, wrong: {**component(kind), **wrong},
    st.sampled_from(TYPES),
    st.dictionaries(fields | st.text(max_size=6), junk, max_size=2),
)
layers = st.lists(components | junk, min_size=1, max_size=3)


@given(st.lists(layers | components, min_size=1, max_size=4))
def test_any_file_imports_and_comes_back_or_is_refused_in_one_line(data: Any) -> None:
    document = Document(text_of(*data), "f.json")
    what: Imported | ConfigError
    try:
        what = import_document(document)
    except ConfigError as error:
        what = error
    if isinstance(what, Imported):
        assert archon.loads(what.yaml) == what.architecture
    else:
        assert "\n" not in str(what)
        assert what.where.startswith("f.json")


def test_a_random_valid_file_keeps_calls_and_digest_through_yaml() -> None:
    what = imported([generator(samples=3), component("generator")], [fuser(samples=2)])
    assert archon.loads(what.yaml).digest() == what.architecture.digest()
    assert "# Calls for one question: 6" in what.yaml
    assert what.yaml.startswith("# 1Gx3 + 1G > 1Fx2\n")
