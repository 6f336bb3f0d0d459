"""Architecture search: spaces, what they hold and cost, and the files that describe a search."""

from archon.search.files import SearchFile, read_search
from archon.search.holes import Assignment, Column
from archon.search.space import FunctionSpace, Space, TemplateSpace, read_space
from archon.search.table import Table, tabulate
from archon.search.trial import Trial

__all__ = [
    "Assignment",
    "Column",
    "FunctionSpace",
    "SearchFile",
    "Space",
    "Table",
    "TemplateSpace",
    "Trial",
    "read_search",
    "read_space",
    "tabulate",
]
