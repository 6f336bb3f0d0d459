"""Pictures: well-formed whatever the names are, complete, and without any dependency."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archon
from archon.base import Architecture, Node, Place
from archon.config import shipped
from archon.drawing import draw
from archon.errors import ConfigError
from archon.layers import Critique, Fuse, Generate, Loop, Rank

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert(1)</script>"]; end\n subgraph & # ` \x00\x1b\ud800 模型 %%{init}%%'


def _texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def _boxes(svg: str) -> list[tuple[float, float, float, float]]:
    root = ElementTree.fromstring(svg)
    x, y, width, height = (
        [float(r.get(name, 0)) for r in root.iter(f"{SVG}rect")]
        for name in ("x", "y", "width", "height")
    )
    return list(zip(x, y, width, height, strict=True))


def _ensemble(width: int) -> Architecture:
    whole: Node = Generate(model="fake/model-0", samples=5)
    for i in range(1, width):
        whole = whole | Generate(model=archon.Model(f"fake/model-{i}", temperature=0.7))
    return whole >> Critique(model="fake/judge") >> Rank(model="fake/judge", keep=3)


def test_every_layer_is_there_with_model_and_settings() -> None:
    picture = (_ensemble(10) >> (Fuse(model="fake/f") | Fuse(model="fake/g"))).draw()
    texts = _texts(picture.svg)
    assert texts.count("generate") == 9
    assert "generate \N{MULTIPLICATION SIGN}5" in texts
    assert "keep 3" in texts
    assert {"model-0", "model-9 · T 0.7", "judge", "question", "answer"} <= set(texts)
    for i in range(10):
        assert f"model-{i}" in picture.mermaid
    assert picture.mermaid.startswith("flowchart LR\n")


def test_boxes_of_parallel_layers_do_not_overlap() -> None:
    svg = _ensemble(10).draw().svg
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = _boxes(svg)
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_nested_architectures_and_loops_are_frames() -> None:
    body = Critique(model="fake/a") >> Fuse(model="fake/a")
    draft = (Generate(model="fake/a") >> body).named("my draft")
    whole = (draft | Generate(model="fake/b")) >> Loop(body=body, rounds=4)
    picture = whole.draw()
    assert re.search(r'subgraph n\d+\["my draft"\]', picture.mermaid)
    assert re.search(r'subgraph n\d+\["loop<br/>rounds 4', picture.mermaid)
    assert picture.mermaid.count("subgraph") == picture.mermaid.count("end\n")
    # The body of a loop is drawn once, however many rounds it has.
    assert _texts(picture.svg).count("fuse") == 2
    assert "stroke-dasharray" in picture.svg


def test_hostile_names_are_text() -> None:
    inner = (Generate(model="fake/a") >> Fuse(model="fake/<b>&\"'")).named(HOSTILE.replace("/", ""))
    picture = (inner >> Fuse(model="fake/a")).named(HOSTILE).draw()
    root = ElementTree.fromstring(picture.svg.encode())
    assert not list(root.iter(f"{SVG}script"))
    assert any("模型" in text or "script" in text for text in _texts(picture.svg))
    for line in picture.mermaid.splitlines():
        label = re.sub(r'\["[^"]*"\]', "", line)
        assert "script" not in label
        assert label.count('"') == 0


@given(st.text(max_size=60).filter(lambda name: "/" not in name and ":" not in name))
def test_any_name_gives_a_well_formed_picture(name: str) -> None:
    node = (Generate(model="fake/a") >> Fuse(model="fake/a")).named(name)
    picture = (node >> Fuse(model="fake/b")).draw()
    ElementTree.fromstring(picture.svg.encode())
    assert picture.mermaid.count('"') % 2 == 0
    picture.mermaid.encode()


def test_edges_that_are_no_stages_are_drawn() -> None:
    g = Generate(model="fake/a", keep=False)
    places = (
        Place("a", g),
        Place("b", g, ("a",)),
        Place("c", g, ("b",)),
        Place("d", g, ("c", "a")),
    )
    picture = Architecture(places).draw()
    assert picture.mermaid.count("-->") == 4
    ElementTree.fromstring(picture.svg)


def test_a_single_layer_can_be_drawn() -> None:
    assert _texts(draw(Generate(model="fake/a")).svg)[:3] == ["question", "generate", "a"]


def test_the_same_architecture_gives_the_same_picture() -> None:
    assert _ensemble(3).draw() == _ensemble(3).draw()


def test_it_shows_itself_in_a_notebook() -> None:
    whole = _ensemble(2)
    assert whole._repr_svg_() == whole.draw()._repr_svg_() == whole.draw().svg


@pytest.mark.parametrize("ending", ["svg", "mmd", "md", "SVG"])
def test_it_is_saved_by_its_ending(ending: str, tmp_path: Path) -> None:
    picture = _ensemble(2).draw()
    path = picture.save(tmp_path / f"a.{ending}")
    text = path.read_text(encoding="utf-8")
    want = picture.svg if ending.lower() == "svg" else picture.mermaid
    assert want in text
    assert text.startswith("```mermaid\n") == (ending == "md")


def test_bad_endings_and_places_are_refused(tmp_path: Path) -> None:
    picture = _ensemble(2).draw()
    with pytest.raises(ConfigError, match=r"a picture ends in \.svg, \.mmd, \.md, \.png, got"):
        picture.save(tmp_path / "a.jpeg")
    with pytest.raises(ConfigError, match="no such file or directory"):
        picture.save(tmp_path / "nowhere" / "a.svg")


def test_png_needs_matplotlib(tmp_path: Path) -> None:
    picture = _ensemble(2).draw()
    if importlib.util.find_spec("matplotlib") is None:
        with pytest.raises(ConfigError, match=r"needs matplotlib.*save as 'a\.svg' instead"):
            picture.save(tmp_path / "a.png")
    else:
        assert picture.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", shipped())
def test_shipped_shapes_are_drawn(name: str) -> None:
    picture = archon.load(name).draw()
    assert _texts(picture.svg)[0] == "question"
    assert len(_boxes(picture.svg)) >= 3
