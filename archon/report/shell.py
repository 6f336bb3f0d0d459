"""What all pages share: one file, with a policy under which nothing but its own script can run."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from archon.report.trimming import shown

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["filled", "policy"]


def filled(template: str, scripts: Sequence[str] = ("page.js",), **values: Any) -> str:
    """Return a page.

    Args:
        template: its file's name.
        scripts: files of its scripts, in order.
        **values: what the template places.
    """
    style, texts = _part("page.css"), [_part(name) for name in scripts]
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy([style], texts),
            style=Markup(style),  # noqa: S704 (our own files)
            scripts=[Markup(text) for text in texts],  # noqa: S704
            **values,
        )
    )


def policy(styles: list[str], scripts: list[str]) -> str:
    """Return the content security policy: nothing is allowed but these texts.

    Whatever a model wrote, it could neither run nor fetch nor send anything, even if it came to
    stand in the page as markup. Trusted types forbid the script to make markup of text.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {' '.join(map(_hash, styles))}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _part(name: str) -> str:
    return files("archon.report").joinpath(name).read_text(encoding="utf-8")


def _finish(value: Any) -> Any:
    """Make every text that is placed fit to be shown; what is markup already was made here."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finish,
    )
