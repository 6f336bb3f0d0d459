"""Looking after the pool's file: figures, export and import, verification, pruning.

Everything here opens the file by itself, so that it works beside processes that use the pool; what
only reads never makes a file, a folder or a lock.
"""

from archon.upkeep.checking import Checked, Finding, verify
from archon.upkeep.entries import FORMAT
from archon.upkeep.exporting import Export
from archon.upkeep.figures import Attempt, Figures, Overview, Sizes, Tally, overview, sizes, tally
from archon.upkeep.importing import Imported, import_replies, read_lines, read_pool
from archon.upkeep.opening import is_database, reading
from archon.upkeep.pruning import Pruned, Which, compact, foresee, prune

__all__ = [
    "FORMAT",
    "Attempt",
    "Checked",
    "Export",
    "Figures",
    "Finding",
    "Imported",
    "Overview",
    "Pruned",
    "Sizes",
    "Tally",
    "Which",
    "compact",
    "foresee",
    "import_replies",
    "is_database",
    "overview",
    "prune",
    "read_lines",
    "read_pool",
    "reading",
    "sizes",
    "tally",
    "verify",
]
