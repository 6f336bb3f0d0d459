"""Kill a process that is paying for model calls, again and again, and check its books.

    python tests/faults/campaign.py --kills 1000 --out benchmarks/perf/results/kills.json

A campaign is a list of distinct draws and a provider that survives. A worker draws them with
several in flight, is killed by SIGKILL at a named point of the code or at a random time, and is
started again until it gets through. After every kill and at the end `_Books` checks that

- no reply that was stored is lost or asked for again, and none was seen that is not stored,
- the provider served no request that was not reserved before,
- what is in doubt is on the books, and no more than was in flight,
- provider's bill <= ledger <= budget, and the file is whole.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archon import crashing
from archon.testing.provider import ProviderProcess

POINTS = tuple(point for point in crashing.POINTS if point != "run.recorded")
"""The crash points that every call passes; those in a transaction are passed by each group."""
FAULTS = {"server_error": 0.1, "malformed_json": 0.05, "closed": 0.05}


@dataclass(frozen=True)
class Plan:
    """What one campaign draws.

    Attributes:
        draws: of each request, asked for together.
        budget: tokens that all processes together may spend; 0 is no budget.
        faulty: whether the provider fails now and then as well.
    """

    requests: int = 40
    in_flight: int = 8
    draws: int = 1
    budget: int = 0
    faulty: bool = False
    latency: float = 0.01

    @property
    def seconds(self) -> float:
        """About how long a worker takes."""
        return 0.08 + self.requests * self.latency * 2 / self.in_flight


@dataclass
class Tally:
    """What all campaigns together came to."""

    campaigns: int = 0
    kills: int = 0
    calls: int = 0
    in_doubt: int = 0
    most_in_doubt: int = 0
    asked_again: int = 0
    by_point: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the figures; the promises are the counts that must be 0."""
        per_kill = round(self.in_doubt / self.kills, 2) if self.kills else None
        return {
            "kills": self.kills,
            "kills_by_point": dict(sorted(self.by_point.items())),
            "campaigns": self.campaigns,
            "draws_stored": self.calls,
            "in_doubt": self.in_doubt,
            "in_doubt_per_kill": per_kill,
            "most_in_doubt_after_one_kill": self.most_in_doubt,
            "in_doubt_and_asked_again": self.asked_again,
            "broken_promises": len(self.broken),
            "first_broken_promises": self.broken[:5],
        }


class Workers:
    """The process that forks workers."""

    def __enter__(self) -> Workers:
        script = Path(__file__).with_name("crash_worker.py")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, **job: Any) -> dict[str, Any]:
        """Let one worker do a job and return how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class _Books:
    """What the file says, looked at in a copy, so that the worker meets it as the kill left it."""

    def __init__(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            for end in ("", "-wal"):
                part = path.with_name(path.name + end)
                if part.exists():
                    shutil.copyfile(part, copy.with_name(copy.name + end))
            db = sqlite3.connect(copy)
            self.whole = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempts'").fetchone()
            self.attempts: list[Any] = []
            self.replies: dict[Any, Any] = {}
            self.texts: dict[str, str] = {}
            self.scopes: list[Any] = []
            if made:
                self._read(db)
            db.close()

    def _read(self, db: sqlite3.Connection) -> None:
        self.attempts = db.execute(
            "SELECT key, member, draw, sent, state, input_tokens + output_tokens FROM attempts"
            " ORDER BY id"
        ).fetchall()
        rows = db.execute("SELECT key, member, draw, reply, checksum FROM replies").fetchall()
        self.replies = {row[:3]: row[3:] for row in rows}
        requests = db.execute("SELECT key, request FROM requests").fetchall()
        self.texts = {json.loads(text)["messages"][-1][1]: key for key, text in requests}
        self.scopes = db.execute("SELECT input_tokens + output_tokens FROM scopes").fetchall()

    @property
    def tokens(self) -> int:
        """All that is charged or held."""
        return sum(row[5] for row in self.attempts)

    def count(self, state: str) -> int:
        """Return how many attempts are in a state."""
        return sum(row[4] == state for row in self.attempts)


class Campaign:
    """One list of draws, from its first worker to the last."""

    def __init__(
        self, plan: Plan, provider: ProviderProcess, workers: Workers, folder: Path, tally: Tally
    ) -> None:
        self._plan, self._provider, self._workers, self._tally = plan, provider, workers, tally
        self._path, self._out = folder / "pool.db", folder / "replies.json"
        self._seen = folder / "seen"
        self._stored: dict[Any, Any] = {}
        self._in_doubt = 0
        faults = FAULTS if plan.faulty else {}
        provider.set(latency=plan.latency, jitter=plan.latency, faults=faults)
        provider.reset()
        tally.campaigns += 1

    def work(self, crash: str = "", after: float | None = None) -> bool:
        """Run a worker to its end or its kill; return whether it was killed."""
        plan = self._plan
        texts = [f"question {i}" for i in range(plan.requests)]
        ended = self._workers.run(
            url=self._provider.url, path=str(self._path), out=str(self._out), texts=texts,
            seen=str(self._seen), in_flight=plan.in_flight, draws=plan.draws, budget=plan.budget,
            crash=crash, after=after,
        )  # fmt: skip
        if ended["killed"]:
            self._tally.kills += 1
            self._tally.by_point[crash.partition(":")[0] or "random"] += 1
            self._look()
        elif ended["code"] != 0:
            self._say(f"a worker ended with {ended['code']} (armed: {crash or after})")
        return bool(ended["killed"])

    def _say(self, what: str) -> None:
        self._tally.broken.append(what)

    def _look(self) -> None:
        """Check the books after a kill."""
        books = _Books(self._path)
        self._common(books)
        flying = books.count("inflight")
        if flying > self._plan.in_flight * self._plan.draws:
            self._say(f"{flying} in flight after a kill")
        # Those of workers before this one were put in doubt when it began, and no others were.
        known = books.count("indoubt") + flying
        if not self._in_doubt <= known <= self._in_doubt + self._plan.in_flight * self._plan.draws:
            self._say(f"{self._in_doubt} were in doubt, now {known}")
        new = known - self._in_doubt
        self._in_doubt = known
        self._tally.in_doubt += new
        self._tally.most_in_doubt = max(self._tally.most_in_doubt, new)

    def _common(self, books: _Books) -> None:
        if not books.whole:
            self._say("the file is damaged")
        for place, row in self._stored.items():
            if books.replies.get(place) != row:
                self._say(f"a stored reply is lost or changed: {place}")
        for line in self._seen.read_text().splitlines() if self._seen.exists() else ():
            key, number = line.split()
            if (key, 0, int(number)) not in books.replies:
                self._say(f"a reply was seen before it was stored: {line}")
        self._stored = books.replies
        self._ends_with_done(books)
        self._bill(books)
        self._wire(books)

    def _ends_with_done(self, books: _Books) -> None:
        """Check that nothing was reserved again after its reply was stored."""
        done: set[Any] = set()
        for *place, _, state, _ in books.attempts:
            if tuple(place) in done:
                self._say(f"reserved again after it was stored: {place}")
            if state == "done":
                done.add(tuple(place))
        if done != set(books.replies):
            self._say("replies and the attempts that paid for them differ")

    def _bill(self, books: _Books) -> None:
        stats = self._provider.stats()
        billed = stats["tokens_in"] + stats["tokens_out"]
        if billed > books.tokens:
            self._say(f"billed {billed} tokens, on the books {books.tokens}")
        if self._plan.budget:
            [(total,)] = books.scopes or [(0,)]
            if total != books.tokens:
                self._say(f"the scope says {total}, its attempts {books.tokens}")
            if total > self._plan.budget:
                self._say(f"{total} of a budget of {self._plan.budget}")

    def _wire(self, books: _Books) -> None:
        """Check that each request on the wire was reserved, and repeated only for a reason."""
        sent: dict[str, set[int]] = {}
        for key, _, _, number, _, _ in books.attempts:
            sent.setdefault(key, set()).add(number)
        asked = Counter(entry["text"] for entry in self._provider.log())
        if sum(asked.values()) > sum(map(len, sent.values())):
            self._say("the provider served a request that was not reserved")
        for text, key in books.texts.items():
            if asked[text] > len(sent.get(key, ())):
                self._say(f"asked {asked[text]} times, reserved {len(sent.get(key, ()))}: {text}")

    def finish(self) -> list[Any]:
        """Let a worker get through, and check everything; return the replies."""
        if self.work():
            self._say("the last worker was killed by nobody known")
        books = _Books(self._path)
        self._common(books)
        if books.count("inflight"):
            self._say("something is in flight and nobody runs")
        if books.count("indoubt") != self._in_doubt:
            self._say(f"{books.count('indoubt')} in doubt of {self._in_doubt} cut by kills")
        self._tally.calls += len(books.replies)
        doubted = {tuple(row[:3]) for row in books.attempts if row[4] == "indoubt"}
        self._tally.asked_again += len(doubted & set(books.replies))
        said: list[Any] = json.loads(self._out.read_text()) if self._out.exists() else []
        return said


def uninterrupted(
    plan: Plan, provider: ProviderProcess, workers: Workers, folder: Path
) -> list[Any]:
    """Return the replies of a worker that nobody kills."""
    return Campaign(plan, provider, workers, folder, Tally()).finish()


def crash(plan: Plan, chance: random.Random) -> dict[str, Any]:
    """Choose how the next worker dies: at a named point or at a random time."""
    if chance.random() < 0.5:
        return {"after": chance.uniform(0, plan.seconds)}
    point = chance.choice(POINTS)
    return {"crash": f"{point}:{chance.randint(1, 3 if 'tten' in point else 12)}"}


def plans(chance: random.Random) -> Plan:
    """Choose what a campaign draws."""
    budget = chance.choice([0, 0, 6_000])
    draws = chance.choice([1, 1, 3])
    return Plan(
        requests=chance.choice([30, 60]), in_flight=chance.choice([4, 8, 16]), draws=draws,
        budget=budget, faulty=chance.random() < 0.3,
    )  # fmt: skip


def same(plan: Plan, got: list[Any], expected: list[Any]) -> bool:
    """Return whether the replies are those of a run that nobody interrupted.

    The provider numbers the choices of a request, so that of several draws asked in other
    groups only the number may differ; under a budget, what was refused may.
    """
    if plan.budget:
        return all(
            mine in ("BudgetExceeded", theirs) or mine.rsplit(" ", 1)[0] == theirs.rsplit(" ", 1)[0]
            for a, b in zip(got, expected, strict=True)
            for mine, theirs in zip(a, b, strict=True)
        )
    if plan.draws == 1:
        return got == expected
    return [[text[:-2] for text in of] for of in got] == [
        [text[:-2] for text in of] for of in expected
    ]


def run(kills: int, seed: int = 0, per_campaign: int = 10, progress: bool = False) -> Tally:
    """Kill so many times in campaigns of all sorts, and return what it came to."""
    chance, tally = random.Random(seed), Tally()
    with (
        ProviderProcess() as provider,
        Workers() as workers,
        tempfile.TemporaryDirectory() as whole,
    ):
        while tally.kills < kills:
            folder = Path(whole, str(tally.campaigns))
            folder.mkdir()
            plan = plans(chance)
            most = min(per_campaign, kills - tally.kills)
            _one(plan, provider, workers, folder, tally, chance, most)
            shutil.rmtree(folder)
            if progress:
                sys.stderr.write(f"\r{tally.kills} kills, {len(tally.broken)} broken promises")
    return tally


def _one(
    plan: Plan,
    provider: ProviderProcess,
    workers: Workers,
    folder: Path,
    tally: Tally,
    chance: random.Random,
    most: int,
) -> None:
    (folder / "whole").mkdir()
    free = Plan(plan.requests, plan.in_flight, plan.draws)
    expected = uninterrupted(free, provider, workers, folder / "whole")
    campaign = Campaign(plan, provider, workers, folder, tally)
    for _ in range(most):
        if not campaign.work(**crash(plan, chance)):
            break  # it got through before its time had come
    if not same(plan, campaign.finish(), expected):
        tally.broken.append("the replies after resuming are not those of an uninterrupted run")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    tally = run(options.kills, options.seed, progress=True)
    found = tally.to_json() | {"seed": options.seed, "seconds": round(time.monotonic() - began, 1)}
    text = json.dumps(found, indent=2) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    sys.exit(1 if tally.broken else 0)


if __name__ == "__main__":
    main()
