"""What a layer or a benchmark asks of the sandbox that it executes code in."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from archon.sandbox import ladder
from archon.sandbox.backends import Backend

__all__ = ["SandboxSettings"]


class SandboxSettings(BaseModel):
    """How strong a sandbox has to be, and what candidates may import in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_level: Literal[2, 3] = Field(2, description="the weakest level that will do")
    packages: tuple[str, ...] = Field(
        (), description="folders of packages that candidates may import, such as a site-packages"
    )
    allow_unsafe_execution: Literal["", "I understand"] = Field(
        "", description="`I understand` accepts level 1, where nothing keeps code from doing harm"
    )

    def choose(self) -> Backend:
        """Return the strongest backend that works here; nothing is executed but the probe.

        Raises:
            SandboxUnavailable: when nothing is strong enough; says why and what mends it.
        """
        return ladder.choose(self.min_level, allow_unsafe_execution=self.allow_unsafe_execution)
