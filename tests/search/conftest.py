"""Small spaces that the tests share."""

from __future__ import annotations

from archon.config import Source
from archon.search import TemplateSpace, read_space
from archon.search.reading import TAGS

MODELS = """\
models:
  a: {model: fake/a, max_tokens: 50}
  b: {model: fake/b, max_tokens: 70}
"""


def space_of(text: str, models: str = MODELS) -> TemplateSpace:
    """Return the space of a YAML text, with two fake models unless it has its own."""
    return read_space(Source(models + text, "space.yaml", TAGS))
