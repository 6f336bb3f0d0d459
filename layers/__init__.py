"""Every built-in technique, one per file. Importing this package registers them."""

from archon.layers.best import Best
from archon.layers.call import Call
from archon.layers.code_tests import CodeTests
from archon.layers.critique import Critique
from archon.layers.fuse import Fuse
from archon.layers.generate import Generate
from archon.layers.loop import Loop
from archon.layers.rank import Rank
from archon.layers.refine import Refine
from archon.layers.run_tests import RunTests
from archon.layers.test_eval import TestEval
from archon.layers.unit_tests import UnitTests
from archon.layers.verify import Verify
from archon.layers.vote import Vote

__all__ = [
    "Best",
    "Call",
    "CodeTests",
    "Critique",
    "Fuse",
    "Generate",
    "Loop",
    "Rank",
    "Refine",
    "RunTests",
    "TestEval",
    "UnitTests",
    "Verify",
    "Vote",
]
