"""`archon init`: a commented file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archon.errors import ConfigError

__all__ = ["STARTER", "init"]

STARTER = """\
# An architecture for archon. Try it:
#   archon plan {file}                 the most it can cost, before anything is paid
#   archon show {file}                 a picture
#   archon run {file} "a question"
#   archon layers                      every technique and its settings

name: {name}

# Models by short names. The part before the first slash is the provider; its key is read from
# the environment (OPENAI_API_KEY and so on). `local/…` runs weights on this machine.
models:
  writer: {{model: openai/gpt-4.1-mini, temperature: 0.8, max_tokens: 1024}}
  judge: {{model: openai/gpt-4.1-mini, temperature: 0, max_tokens: 1024}}

# Stages run one after the other. A stage that is a list runs its layers in parallel and joins
# their candidates.
stages:
  # Five independent answers.
  - generate: {{model: writer, samples: 5}}
  # For an ensemble, put several models here, each on a line of its own:
  # - [generate: {{model: writer, samples: 3}}, generate: {{model: other, samples: 3}}]

  # Keep the three that the judge finds best.
  - rank: {{model: judge, keep: 3}}

  # Merge them into one answer.
  - fuse: {{model: writer}}
"""


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("architecture.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented architecture to begin with."""
    import json

    name = json.dumps(file.stem, ensure_ascii=False)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(STARTER.format(file=file, name=name))
    except FileExistsError:
        raise ConfigError("there is a file already; --force replaces it", where=str(file)) from None
    except OSError as error:
        raise ConfigError(str(error.strerror).lower(), where=str(file)) from None
    typer.echo(f"wrote {file}; next: archon plan {file}", err=True)
