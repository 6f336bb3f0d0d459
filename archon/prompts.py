"""Templates of prompts. Text from models and users enters as values, never as template source."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from archon.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["check", "render"]


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined  # kept out of `import archon`
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Templates are the user's own files, but a shared configuration must not run code.
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


@cache
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


def check(source: str) -> None:
    """Raise ConfigError with the line if `source` is not a template."""
    from jinja2 import TemplateSyntaxError

    try:
        _compiled(source)
    except TemplateSyntaxError as error:
        raise ConfigError(f"template line {error.lineno}: {error.message}") from None


def render(source: str, **fields: object) -> str:
    """Fill a template.

    Raises:
        ConfigError: when the template names a field that the layer does not offer.
    """
    from jinja2 import TemplateError

    try:
        return _compiled(source).render(**fields).strip()
    except TemplateError as error:
        offered = ", ".join(sorted(fields))
        raise ConfigError(f"template: {error.message}; it may use: {offered}") from None
