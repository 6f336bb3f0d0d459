"""What was read before: a radix tree over tokens that holds their keys and values.

Texts that begin alike share the nodes of what they have in common (Zheng et al. 2024, "SGLang:
Efficient Execution of Structured Language Model Programs", section 3). Its bytes are counted; what
was used least recently goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from archon.backends.torch_cache import Segment

__all__ = ["PrefixTree"]

Ids = tuple[int, ...]


class _Node:
    """Consecutive tokens, with what may follow by its first token."""

    __slots__ = ("above", "below", "ids", "segment")

    def __init__(self, ids: Ids, segment: Segment | None, above: _Node | None) -> None:
        self.ids, self.segment, self.above = ids, segment, above
        self.below: dict[int, _Node] = {}


class PrefixTree:
    """Finds the longest beginning of a text that was read before; several threads may use it.

    Args:
        budget: the most bytes of keys and values; 0 keeps nothing.

    Attributes:
        bytes: how many there are.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._root = _Node((), None, None)
        # Least recently used first. Whoever uses a node uses those above it right after, so the
        # first is always a leaf.
        self._recent: OrderedDict[_Node, None] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """Return how many nodes there are."""
        return len(self._recent)

    def match(self, ids: Sequence[int], most: int) -> list[Segment]:
        """Return what is known of the first `most` tokens, as consecutive pieces."""
        with self._lock:
            wanted = tuple(ids[:most])
            path, node, rest = self._walk(wanted)
            found = [n.segment for n in path if n.segment is not None]
            if node is not None and node.segment is not None:
                path.append(node)
                found.append(node.segment.part(0, rest))
            self._touch(path)
            return found

    def add(self, ids: Sequence[int], tail: Segment) -> None:
        """Keep the last tokens of a text, if those before them are still there.

        Args:
            ids: the whole text.
            tail: keys and values of its end, which nobody may change any more.
        """
        with self._lock:
            whole, begin = tuple(ids), len(ids) - tail.size
            path, node, rest = self._walk(whole)
            known = sum(len(n.ids) for n in path) + rest
            self._touch(path)
            if known < begin or known == len(whole):
                return
            size = tail.bytes // tail.size * (len(whole) - known)
            if size > self._budget:
                return
            last = path[-1] if path else self._root
            if node is not None:
                last = self._split(node, rest)
                path.append(last)
            # What is added to must not go first.
            self._touch(path)
            while self.bytes + size > self._budget and next(iter(self._recent)) not in path:
                self._forget()
            if self.bytes + size > self._budget:
                return
            kept = tail if known == begin else tail.part(known - begin, tail.size).copy()
            new = _Node(whole[known:], kept, last)
            last.below[whole[known]] = new
            self.bytes += size
            self._touch([*path, new])

    def shrink(self, budget: int) -> None:
        """Keep to a smaller budget from now on."""
        with self._lock:
            self._budget = min(self._budget, budget)
            while self.bytes > self._budget:
                self._forget()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._root = _Node((), None, None)
            self._recent.clear()
            self.bytes = 0

    def _walk(self, ids: Ids) -> tuple[list[_Node], _Node | None, int]:
        """Return the nodes that a text runs through, and the one that it leaves, and where."""
        path: list[_Node] = []
        node, at = self._root, 0
        while at < len(ids) and (below := node.below.get(ids[at])) is not None:
            common = _common(below.ids, ids[at : at + len(below.ids)])
            if common < len(below.ids):
                return path, below, common
            path.append(below)
            node, at = below, at + common
        return path, None, 0

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut a node in two and return the upper one; the lower keeps its age."""
        assert node.segment is not None
        assert node.above is not None
        upper = _Node(node.ids[:at], node.segment.part(0, at).copy(), node.above)
        node.above.below[node.ids[0]] = upper
        node.segment = node.segment.part(at, node.segment.size).copy()
        node.ids, node.above = node.ids[at:], upper
        upper.below[node.ids[0]] = node
        return upper

    def _touch(self, path: Sequence[_Node]) -> None:
        for node in reversed(path):
            self._recent[node] = None
            self._recent.move_to_end(node)

    def _forget(self) -> None:
        node, _ = self._recent.popitem(last=False)
        assert not node.below
        assert node.segment is not None
        assert node.above is not None
        del node.above.below[node.ids[0]]
        self.bytes -= node.segment.bytes


def _common(a: Ids, b: Ids) -> int:
    """Return how many tokens two texts have in common at their beginning."""
    if a == b:
        return len(a)
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return place
    return min(len(a), len(b))
