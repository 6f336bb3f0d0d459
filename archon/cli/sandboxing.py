"""`archon sandbox`: where a model's code could run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from archon.cli import common

if TYPE_CHECKING:
    from archon.sandbox import Probed
    from archon.types import Json

__all__ = ["sandbox"]


def sandbox(as_json: common.AsJson = False) -> None:
    """Show where a model's code may run here: every backend is probed now, by harmless attacks.

    Exit code 0 where there is a backend of level 2 or better, 1 where there is none.
    """
    from archon.sandbox import known, offered, survey
    from archon.sandbox.canaries import CANARIES

    found = survey()
    names = {backend.name for backend in offered()}
    usable = [answer for answer in found if answer.works and answer.level >= 2]
    usable = [answer for answer in usable if answer.backend in names]
    best = usable[0].backend if usable else None
    if as_json:
        common.print_json(
            {
                "chosen": best,
                "attacks": len(CANARIES),
                "backends": [_row(answer) for answer in found],
            }
        )
    else:
        table = common.table("backend", "level", "state", "about", left=4)
        about = {backend.name: backend.about for backend in known()}
        for answer in found:
            table.add_row(answer.backend, str(answer.level), _state(answer), about[answer.backend])
        out = common.console()
        out.print(table)
        for answer in found:
            if not answer.works and answer.remedy:
                out.print(f"{answer.backend}: mend it: {answer.remedy}", markup=False)
        out.print(_conclusion(best), markup=False)
    if best is None:
        raise typer.Exit(1)


def _row(answer: Probed) -> dict[str, Json]:
    return {
        "backend": answer.backend,
        "level": answer.level,
        "works": answer.works,
        "reason": answer.reason,
        "remedy": answer.remedy,
        "escaped": list(answer.escaped),
    }


def _state(answer: Probed) -> str:
    if not answer.works:
        return f"refused: {answer.reason}"
    if answer.level < 2:
        return f"only by explicit consent: {len(answer.escaped)} attacks succeed"
    return "works: no attack succeeds"


def _conclusion(best: str | None) -> str:
    if best is None:
        return "nothing here may execute a model's code: what needs it is refused before any call"
    return f"a model's code runs in: {best}"
