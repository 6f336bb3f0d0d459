"""Every file in configs/ loads, says what it costs, and keeps to it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

import archon
from archon.backends.fake import Fake
from archon.base import Architecture
from archon.cli import app
from archon.config import shipped
from archon.model import Draw, Request
from archon.types import Json

FILES = {name: path for name, path in shipped().items() if not name.startswith("paper/")}
REMOTE = sorted(name for name in FILES if not name.startswith("local/"))
PROMISED = {
    "best-of-n",
    "code-agreement",
    "code-repair",
    "critique-fuse",
    "ensemble-rank-fuse",
    "general-purpose",
    "generate-verify",
    "local/adaptive",
    "local/best-by-reward",
    "local/best-of-n",
    "local/critique-fuse",
    "local/ensemble",
    "local/generate-verify",
    "local/greedy",
    "local/self-consistency",
    "local/single",
    "local/unit-tests",
    "local/verify-vote",
    "refine-loop",
    "self-consistency",
    "single",
    "unit-tests",
}
ANSWERS = ("#### 42", "#### 17", "It is 42.\n#### 42", "I do not know.")
JUDGEMENTS = (
    "[Correct]",
    "[Incorrect]",
    "Response 1\nStrengths: clear\nWeaknesses: short",
    "2 > 1",
)


def reply(request: Request, draw: Draw) -> str:
    """Return an answer, a judgement or rubbish, by request and draw alone."""
    chance = random.Random(f"{request.key()}:{draw.member}:{draw.number}")
    return chance.choice([*ANSWERS, *JUDGEMENTS, "", "🙂" * 50])


@pytest.fixture
def fake() -> Fake:
    return Fake(reply)


@pytest.fixture
def session(fake: Fake) -> Iterator[archon.Session]:
    with archon.Session(
        pool=None, backends={"http": fake, "litellm": fake, "local": fake}
    ) as session:
        yield session


@pytest.fixture(scope="module")
def schema() -> Json:
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def header(name: str) -> str:
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    comment = [line for line in lines if line.startswith("#")]
    assert lines[: len(comment)] == comment, "the header stands first"
    return "\n".join(line.removeprefix("#").strip() for line in comment)


def test_what_was_promised_is_there() -> None:
    assert set(FILES) >= PROMISED


@pytest.mark.parametrize("name", FILES)
def test_the_header_says_what_it_is_and_what_it_costs(name: str) -> None:
    text = header(name)
    stated = re.search(r"^Calls for one question: (\d+)$", text, re.MULTILINE)
    assert stated, "a line such as '# Calls for one question: 9'"
    assert int(stated.group(1)) == archon.load(name).bound().calls
    assert re.match(r"\S.{15,}", text)


@pytest.mark.parametrize("name", FILES)
def test_every_cost_is_known_before_the_first_call(name: str) -> None:
    bound = archon.load(name).bound()
    assert bound.tokens is not None
    assert bound.usd is not None
    assert bound.usd > 0  # local models state a nominal price


@pytest.mark.parametrize("name", FILES)
def test_the_name_is_the_one_of_the_file(name: str) -> None:
    assert archon.load(name).name == Path(name).name


@pytest.mark.parametrize("name", FILES)
def test_it_survives_being_written_and_read(name: str) -> None:
    arch = archon.load(name)
    again = archon.loads(archon.dumps(arch))
    assert again == arch
    assert again.digest() == arch.digest()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(3))
def test_it_runs_within_its_bound(
    name: str, seed: int, session: archon.Session, fake: Fake
) -> None:
    arch = archon.load(name)
    bound = arch.bound()
    result = archon.run(arch, "What is 6 * 7?", answer="number", seed=seed, session=session)
    assert result.used.calls <= bound.calls + bound.reasks
    assert len(fake.requests) <= result.used.calls  # equal texts may share a judgement
    assert result.used.calls - result.unparsed <= bound.calls
    assert len(result.candidates) <= bound.candidates
    assert result.answer is not None or result.reason


@pytest.mark.parametrize("name", FILES)
def test_the_schema_accepts_it(name: str, schema: Json) -> None:
    data = yaml.safe_load(FILES[name].read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(data)


def test_the_general_purpose_funnel_narrows() -> None:
    arch = archon.load("general-purpose")
    widths = [part.candidates for part in arch.bounds().values()]
    assert widths[:10] == [1] * 10
    assert widths[11::2] == [8, 6, 4, 1]


def test_local_files_share_their_first_samples() -> None:
    """Equal models make equal requests: what one of them asked is free for the next."""

    def models(arch: Architecture) -> set[str]:
        return {model.signature for model in arch.models()}

    sampled = [archon.load(f"local/{n}") for n in ("single", "self-consistency", "adaptive")]
    assert len({frozenset(models(arch)) for arch in sampled}) == 1
