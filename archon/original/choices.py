"""What whoever imports may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archon.errors import ConfigError
from archon.types import Json

__all__ = ["Choices"]


@dataclass(frozen=True)
class Choices:
    """How original files are imported.

    Attributes:
        models: models to use in place of others: from the name in the file, or the name that it
            has here, to a name or a mapping of settings; these come before the list of retired
            models, so that a name that stands for itself keeps a retired one.
        all_models: one model in place of every other; empty: none.
        keep_models: leave retired models as they are.
        intended: do what the authors evidently meant, where the original does not.
        repair: mend broken JSON where only one change is plausible.

    Raises:
        ConfigError: when a replacement is neither a name nor a mapping.
    """

    models: Mapping[str, Json] = field(default_factory=dict)
    all_models: str = ""
    keep_models: bool = False
    intended: bool = False
    repair: bool = False

    def __post_init__(self) -> None:
        for name, other in self.models.items():
            named = isinstance(other, Mapping) and isinstance(other.get("model", ""), str)
            if not named and not (isinstance(other, str) and other):
                raise ConfigError(
                    f"the replacement of {name!r} is a model's name or a mapping of settings,"
                    f" got {other!r}"
                )
