"""How many threads of the processor compute a model."""

from __future__ import annotations

import threading

__all__ = ["SMALL", "use_threads"]

SMALL = 10_000_000
"""Weights below which one thread is used. A step of such a model takes a few milliseconds in
hundreds of operations; threads that meet after each of them cost more than they compute."""

_CHANGING = threading.Lock()


def use_threads(wanted: int | None, weights: int) -> bool:
    """Set how many threads compute what the calling thread asks of torch.

    Args:
        wanted: how many; None for torch's own number, or one where the model is `SMALL`.
        weights: of the model.

    Returns:
        Whether torch would have taken more: a second thread of the model's has a core of its own.
    """
    import torch

    with _CHANGING:
        before = torch.get_num_threads()
        count = wanted if wanted is not None else 1 if weights < SMALL else before
        spare = wanted is None and count < before
        if count == before:
            return spare
        torch.set_num_threads(count)
        # Torch also starts all later threads with the latest number, those of other models and of
        # the application too; set in a thread that ends at once, the old number is theirs again.
        restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()
    return spare
