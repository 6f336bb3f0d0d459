"""Architecture search: spaces, studies within a budget, and winners that hold.

In reading order. What is searched: `holes` and `trial` (decisions), `expressions`, `template`,
`reading` and `space` (architectures with holes), `rules`, `calls`, `plans` and `table` (what each
costs and shares with others), `arithmetic` and `counting`, `files` (search files).

Who searches: `books` (all that was measured, and what a searcher answers with), `posterior` (what
is believed), `searchers` (the protocol, random, grid), `racer` (the posterior race: `arms`,
`measured`, `kernels`, `item_effects`, `surrogate`, `racing`, `acquiring`), `thompson`, `samplers`
and `told` (Optuna's).

How: `parts` (dev, confirm and test items), `ground` (candidates and seeds), `ranking`, `settings`,
`money` (the budget and its reserve), `measuring` (the unit of work), `crew` (trials and who holds
them), `conducting` (ask, work, tell), `journal` (the same for Optuna's tools).

What comes out: `objectives`, `ablation`, `baselines`, `contenders`, `reserve`, `claims` and
`finals` (a winner that holds), `study`, `optimizing` (`archon.optimize`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from archon.search.files import SearchFile, read_search
from archon.search.holes import Assignment, Column
from archon.search.space import FunctionSpace, Space, TemplateSpace, read_space
from archon.search.table import Table, tabulate
from archon.search.trial import Trial

if TYPE_CHECKING:
    from archon.search.books import Books, Proposal, Standing, Told
    from archon.search.optimizing import aoptimize, optimize
    from archon.search.searchers import SEARCHERS, Searcher
    from archon.search.study import Study, StudyProgress

__all__ = [
    "SEARCHERS",
    "Assignment",
    "Books",
    "Column",
    "FunctionSpace",
    "Proposal",
    "SearchFile",
    "Searcher",
    "Space",
    "Standing",
    "Study",
    "StudyProgress",
    "Table",
    "TemplateSpace",
    "Told",
    "Trial",
    "aoptimize",
    "optimize",
    "read_search",
    "read_space",
    "tabulate",
]

# What runs a study is imported when it is asked for: reading a space needs none of it.
_HOMES = {
    "books": ("Books", "Proposal", "Standing", "Told"),
    "optimizing": ("aoptimize", "optimize"),
    "searchers": ("SEARCHERS", "Searcher"),
    "study": ("Study", "StudyProgress"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _HOME:
        value: object = getattr(import_module(f"archon.search.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'archon.search' has no attribute {name!r}")
