"""Everything that the documentation shows is run, and every link in it leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import archon
from archon import session as sessions
from archon.backends.fake import Fake
from archon.base import BENCHMARKS, LAYERS
from archon.cli import app
from archon.model import Draw, Request

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
LANGUAGES = {"", "python", "yaml", "console", "text", "toml", "mermaid"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def blocks(language: str = "") -> tuple[Block, ...]:
    """Return all blocks in one language, or in any."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = page.relative_to(ROOT).as_posix()
            found.append(Block(name, line, match.group(1), match.group(2)))
    return tuple(block for block in found if language in ("", block.language))


def reply(request: Request, draw: Draw) -> str:
    """Answer every question of the documentation."""
    return f"6 * 7 = {42 + draw.number % 3}\n#### {42 + draw.number % 3}"


@pytest.fixture
def fake_session() -> Iterator[archon.Session]:
    """Put a session without network, weights or files in the place of the default one."""
    fake = Fake(reply)
    with pytest.MonkeyPatch.context() as patch:
        made = archon.Session(pool=None, backends={"http": fake, "litellm": fake, "local": fake})
        patch.setattr(sessions, "_default", made)
        real = archon.Session.__init__

        def in_memory(self: archon.Session, pool: object = None, **rest: Any) -> None:
            rest.setdefault("backends", {"http": fake, "litellm": fake, "local": fake})
            real(self, None, **rest)

        patch.setattr(archon.Session, "__init__", in_memory)
        yield made
        made.close()


@pytest.fixture
def clean_registries() -> Iterator[None]:
    """Take out again what the documentation registers."""
    layers, benchmarks = set(LAYERS.all()), set(BENCHMARKS.all())
    yield
    for name in set(LAYERS.all()) - layers:
        LAYERS.remove(name)
    for name in set(BENCHMARKS.all()) - benchmarks:
        BENCHMARKS.remove(name)


def execute(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block, with its own file and lines in tracebacks."""
    padded = "\n" * block.line + block.text
    exec(compile(padded, str(ROOT / block.page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize(
    "page", [name for name in NAMES if "```python" in (ROOT / name).read_text()]
)
@pytest.mark.usefixtures("fake_session", "clean_registries")
def test_python_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, and YAML blocks load where they stand."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks():
        if block.page == page and block.language == "python":
            execute(block, namespace)
        if block.page == page and block.language == "yaml":
            archon.loads(block.text, str(block)).check()


@pytest.mark.usefixtures("clean_registries")
def test_yaml_blocks_are_architectures() -> None:
    for block in blocks("python"):
        if block.page == "CONTRIBUTING.md" and "@register" in block.text:
            execute(block, {"__name__": "documentation"})
    for block in blocks("yaml"):
        arch = archon.loads(block.text, str(block)).check()
        assert arch.bound().calls > 0
        assert archon.loads(archon.dumps(arch)).digest() == arch.digest()
        assert set(yaml.safe_load(block.text)) <= {"name", "models", "stages", "nodes"}


@pytest.mark.usefixtures("clean_registries")
def test_the_layer_of_contributing_keeps_every_contract() -> None:
    from archon.testing import check_layer

    [block] = [b for b in blocks("python") if "@register" in b.text and "CONTRIB" in b.page]
    assert len(block.text.splitlines()) <= 50
    namespace: dict[str, Any] = {"__name__": "documentation"}
    execute(block, namespace)
    layer = namespace["Rephrase"]
    check_layer(layer(model="fake/any"))
    check_layer(layer(model="fake/any", samples=3))


@pytest.mark.usefixtures("clean_registries")
def test_the_layer_of_contributing_runs_from_yaml() -> None:
    [block] = [b for b in blocks("python") if "@register" in b.text and "CONTRIB" in b.page]
    execute(block, {"__name__": "documentation"})
    [text] = [b.text for b in blocks("yaml") if b.page == block.page]
    fake = Fake(reply)
    with archon.Session(pool=None, backends={"http": fake, "litellm": fake}) as session:
        result = archon.run(archon.loads(text), "6 * 7?", answer="number", session=session)
    assert result.used.calls == 6
    asked = [request.messages[-1].content for request, _ in fake.requests]
    assert sum("In other words: 6 * 7 = 4" in text for text in asked) == 3


def command_lines() -> list[tuple[str, str]]:
    """Return every line that a shell block would run, and where it stands."""
    found = []
    for block in blocks("console"):
        for line in block.text.splitlines():
            command = re.sub(r"\s+#.*$", "", line.removeprefix("$ ")).strip()
            if command:
                found.append((str(block), command))
    return found


@pytest.mark.parametrize(("where", "line"), command_lines())
def test_command_lines_exist(where: str, line: str) -> None:
    words = shlex.split(line)
    match words[0]:
        case "archon":
            parse(words[1:])
        case "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), where
        case other:
            assert other in ("pip", "python", "git", "cd"), where


def parse(words: list[str]) -> None:
    """Read a command line as the application would, without doing anything."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("archon", list(words))
    name, command, rest = group.resolve_command(context, words)
    while hasattr(command, "commands"):
        context = command.make_context(name, list(rest), parent=context)
        name, command, rest = command.resolve_command(context, rest or ["list"])
    read = command.make_context(name, rest, parent=context).params
    for arch in [*read.get("archs", ()), *filter(None, [read.get("arch")])]:
        assert archon.load(arch)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        other = page if not path else (page.parent / path).resolve()
        assert other.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(other), f"{name}: {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (target.partition("#")[0] for target in LINK.findall(page.read_text()))
        todo += [(page.parent / link).resolve() for link in links if link and "://" not in link]
    assert seen >= set(PAGES)


def test_blocks_say_their_language() -> None:
    for block in blocks():
        assert block.language in LANGUAGES - {""}, f"{block} has no known language"


@cache
def generator() -> ModuleType:
    """Load docs/generate.py, which is a program and not part of the package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["architecture.svg", "cli.md", "layers.md"])
def test_generated_pages_are_up_to_date(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == generator().PAGES[name](text), "run `make docs`"


def test_every_layer_and_every_command_has_its_section() -> None:
    own = [kind for kind, cls in LAYERS.all().items() if cls.__module__.startswith("archon.")]
    assert anchors(ROOT / "docs" / "layers.md") >= {*own, "settings"}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
    assert anchors(ROOT / "docs" / "cli.md") >= {f"archon-{name}" for name in commands}
