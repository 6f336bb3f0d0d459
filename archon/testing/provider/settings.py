"""What can be set on the provider, at the start or while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["Many", "Script", "Settings"]

Many: TypeAlias = Literal["honour", "ignore", "refuse", "fewer"]
"""What to do about `n`: give n choices, always one, refuse with a 400, or give n - 1."""

Script: TypeAlias = Callable[[list[dict[str, Any]], int], str]
"""Says the text of choice i to the messages of a request."""

_AT_LEAST_0 = (
    "latency",
    "jitter",
    "fault_share",
    "max_in_a_row",
    "large_bytes",
    "bomb_bytes",
    "drip_seconds",
)


@dataclass(frozen=True)
class Settings:
    """How the provider behaves. A client's request never changes it.

    Attributes:
        latency: seconds until a computed answer is sent; refusals are sent at once.
        jitter: up to so many seconds more, drawn from the seed, the prompt and its repetition.
        seed: of the choice of faults and of the jitter.
        unique: end every text with a counter, so that no two replies are the same.
        n: what to do about a request for several choices.
        faults: the share of the requests that gets each fault.
        fault_share: the share of the requests that gets any of the faults in `kinds`.
        kinds: kinds and names of faults; a leading `-` takes one out again. By default the kinds
            transient, malformed and reply.
        max_in_a_row: at most so many faults in succession for one prompt.
        max_in_flight: refuse a request beyond so many with a 429.
        rpm: refuse more requests per minute than this with a 429.
        burst: how many requests `rpm` lets through at once.
        api_key: refuse requests without this bearer with a 401.
        large_bytes: size of the text of fault `large_answer`.
        bomb_bytes: inflated size of fault `gzip_bomb`.
        drip_seconds: time between the parts of fault `slow_loris`.
        models: what `GET /v1/models` lists; any other name is served as well.
        script: says the texts; by default `answer <hash of the prompt> <i>`.
    """

    latency: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    unique: bool = False
    n: Many = "honour"
    faults: Mapping[str, float] | None = None
    fault_share: float = 0.0
    kinds: tuple[str, ...] = ()
    max_in_a_row: int = 3
    max_in_flight: int | None = None
    rpm: float | None = None
    burst: int = 1
    api_key: str | None = None
    large_bytes: int = 20_000_000
    bomb_bytes: int = 100_000_000
    drip_seconds: float = 0.5
    models: tuple[str, ...] = ("scripted",)
    script: Script | None = None

    def __post_init__(self) -> None:
        for name in ("kinds", "models"):
            value: str | Iterable[str] = getattr(self, name)
            listed = value.split(",") if isinstance(value, str) else value
            object.__setattr__(self, name, tuple(listed))
        for name in _AT_LEAST_0:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} must be a number of at least 0, not {value!r}")
        if self.n not in get_args(Many):
            raise ValueError(f"n must be one of {', '.join(get_args(Many))}, not {self.n!r}")
        if self.rpm is not None and not self.rpm > 0:
            raise ValueError(f"rpm must be above 0, not {self.rpm!r}")
        if self.burst < 1:
            raise ValueError(f"burst must be at least 1, not {self.burst!r}")
        if self.faults and self.fault_share:
            raise ValueError("give either faults or fault_share, not both")

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return settings with some changed.

        Raises:
            ValueError: for a setting that does not exist or a value that cannot be.
        """
        known = {field.name for field in fields(self)}
        if unknown := sorted(changes.keys() - known):
            raise ValueError(f"unknown settings: {', '.join(unknown)}")
        try:
            return replace(self, **changes)
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error
