"""Architectures of the original Archon (JSON files), read as architectures of this one.

`import_file` reads one and says what it became; `archon.load` does the same for a path that ends
in `.json`. What is the same and what differs: docs/import.md.
"""

from archon.original.choices import Choices
from archon.original.components import is_original
from archon.original.importing import Imported, import_document, import_file, read_document
from archon.original.searching import ImportedSearch, import_search, is_search

__all__ = [
    "Choices",
    "Imported",
    "ImportedSearch",
    "import_document",
    "import_file",
    "import_search",
    "is_original",
    "is_search",
    "read_document",
]
