"""Immutable values that travel through an architecture.

Everything here is a frozen dataclass of plain values with a JSON form (`to_json`, `from_json`),
so that a graph, a checkpoint and a trace hold the same thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from archon.errors import ConfigError, did_you_mean
from archon.plain import clean_text, finite
from archon.tokens import Token

__all__ = [
    "AnswerKind",
    "Candidate",
    "Finish",
    "JsonPart",
    "Message",
    "Note",
    "NoteKind",
    "Part",
    "Reply",
    "Role",
    "State",
    "Task",
    "TextPart",
    "ToolCall",
    "Usage",
]

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "refusal", "filter", "timeout", "tool_calls"]
NoteKind = Literal["critique", "score", "verdict", "tests"]
AnswerKind = Literal["text", "exact", "number", "choice", "json", "symbolic"]
Json: TypeAlias = Any

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class JsonPart:
    """A JSON value, kept as its canonical text."""

    value: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model wants made; archon never executes it by itself."""

    id: str
    name: str
    arguments: str


Part: TypeAlias = TextPart | JsonPart | ToolCall


def part_json(part: Part) -> Json:
    """Return the JSON form of a part; text is a plain string."""
    match part:
        case TextPart(text):
            return text
        case JsonPart(value):
            return {"json": value}
        case ToolCall(id_, name, arguments):
            return {"tool_call": [id_, name, arguments]}


def part_from_json(data: Json) -> Part:
    """Invert `part_json`."""
    if isinstance(data, str):
        return TextPart(data)
    if "json" in data:
        return JsonPart(data["json"])
    return ToolCall(*data["tool_call"])


def _text_of(parts: Iterable[Part]) -> str:
    texts = []
    for part in parts:
        match part:
            case TextPart(text):
                texts.append(text)
            case JsonPart(value):
                texts.append(value)
            case ToolCall(_, name, arguments):
                texts.append(f"{name}({arguments})")
    return "".join(texts)


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message of text."""

    role: Role
    content: str

    @classmethod
    def parse(cls, data: Json) -> Message:
        """Read `{"role", "content"}` as providers write it; text parts are joined.

        Raises:
            ConfigError: for a wrong shape, an unknown role, or content that is not text.
        """
        if isinstance(data, Message):
            return data
        if not isinstance(data, Mapping) or not {"role", "content"} <= data.keys():
            raise ConfigError(f"a message is {{'role': …, 'content': …}}, got {data!r}")
        role, content = data["role"], data["content"]
        if role not in ROLES:
            raise ConfigError(f"unknown role {role!r}{did_you_mean(str(role), ROLES)}")
        if isinstance(content, str):
            return cls(role, clean_text(content))
        if not isinstance(content, Sequence):
            raise ConfigError(f"content must be text or a list of parts, got {content!r}")
        return cls(role, clean_text("".join(_text_part(part) for part in content)))

    def to_json(self) -> Json:
        """Return `{"role", "content"}`."""
        return {"role": self.role, "content": self.content}


def _text_part(part: Json) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type") == "text":
        return str(part.get("text", ""))
    kind = part.get("type", part) if isinstance(part, Mapping) else part
    raise ConfigError(f"only text is supported in messages, got a part of type {kind!r}")


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls consumed; adds up, and unknown (`None`) absorbs sums: it is never zero.

    Attributes:
        calls: draws, whether they came from the pool or not.
        input_tokens: tokens of prompts, cached ones included.
        output_tokens: generated tokens, reasoning included.
        microusd: millionths of a US dollar at list price.
        seconds: time of the calls themselves, summed, without our own queue.
        flops: floating-point operations, two for each parameter and token.

    >>> Usage(calls=1, microusd=5) + Usage(calls=2, microusd=None)
    Usage(calls=3, input_tokens=0, output_tokens=0, microusd=None, seconds=0.0, flops=0)
    """

    calls: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    microusd: int | None = 0
    seconds: float | None = 0.0
    flops: int | None = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            _plus(self.input_tokens, other.input_tokens),
            _plus(self.output_tokens, other.output_tokens),
            _plus(self.microusd, other.microusd),
            None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
            _plus(self.flops, other.flops),
        )

    @classmethod
    def sum(cls, usages: Iterable[Usage]) -> Usage:
        """Add up any number of usages; none gives zeros."""
        total = cls()
        for usage in usages:
            total = total + usage
        return total

    @property
    def tokens(self) -> int | None:
        """Input and output tokens together."""
        return _plus(self.input_tokens, self.output_tokens)

    @property
    def usd(self) -> float | None:
        """US dollars at list price."""
        return None if self.microusd is None else self.microusd / 1e6

    def to_json(self) -> Json:
        """Return every field by name."""
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "microusd": self.microusd,
            "seconds": self.seconds,
            "flops": self.flops,
        }

    @classmethod
    def from_json(cls, data: Json) -> Usage:
        """Invert `to_json`; a record from before operations were counted has them unknown."""
        return cls(**{"flops": None, **data})


def _plus(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole assistant message, as a model gave it.

    Attributes:
        parts: what was said.
        model: the model's name in archon.
        finish: why it ended.
        reasoning: thinking text; stored, never shown to other layers unless one asks.
        usage: of this one draw.
        verdict_probs: probabilities of the first generated token's alternatives by text, where
            the backend gives them.
        pooled: whether it came from the pool, so that nothing was paid for it now.
        paid: what it cost where that is not `usage`: of several samples of one request, only
            the first pays for the prompt, and a local model reads nothing twice.
        stop: the stop string at which it was cut, where the backend says so; empty when the model
            ended by itself.
        tokens: their numbers in the model's vocabulary, if they were wanted: those of the stop
            string included, the one that ends a reply not.
        logprobs: what is known of each token, if that was wanted; with those of the prefix if they
            were.
    """

    parts: tuple[Part, ...]
    model: str = ""
    finish: Finish = "stop"
    reasoning: str = ""
    usage: Usage = Usage(calls=1)
    verdict_probs: tuple[tuple[str, float], ...] = ()
    pooled: bool = False
    paid: Usage | None = None
    stop: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[Token, ...] = ()

    @classmethod
    def of(cls, text: str, **rest: Any) -> Reply:
        """Make a reply of plain text."""
        return cls((TextPart(clean_text(text)),), **rest)

    @property
    def text(self) -> str:
        """What was said, as one string."""
        return _text_of(self.parts)

    def candidate(self, parents: Iterable[Candidate] = ()) -> Candidate:
        """Return this reply as a proposed answer; the executor gives it its id."""
        return Candidate(self, parents=tuple(parent.id for parent in parents))

    def to_json(self) -> Json:
        """Return a JSON form that `from_json` inverts; `pooled` and `paid` are not part of it."""
        data: dict[str, Json] = {
            "parts": [part_json(part) for part in self.parts],
            "model": self.model,
            "finish": self.finish,
            "usage": self.usage.to_json(),
        }
        if self.reasoning:
            data["reasoning"] = self.reasoning
        if self.verdict_probs:
            data["verdict_probs"] = [list(pair) for pair in self.verdict_probs]
        if self.stop:
            data["stop"] = self.stop
        if self.tokens:
            data["tokens"] = list(self.tokens)
        if self.logprobs:
            data["logprobs"] = [token.to_json() for token in self.logprobs]
        return data

    @classmethod
    def from_json(cls, data: Json) -> Reply:
        """Invert `to_json`."""
        return cls(
            parts=tuple(part_from_json(part) for part in data["parts"]),
            model=data["model"],
            finish=data["finish"],
            reasoning=data.get("reasoning", ""),
            usage=Usage.from_json(data["usage"]),
            verdict_probs=tuple((text, p) for text, p in data.get("verdict_probs", ())),
            stop=data.get("stop", ""),
            tokens=tuple(data.get("tokens", ())),
            logprobs=tuple(Token.from_json(token) for token in data.get("logprobs", ())),
        )


@dataclass(frozen=True, slots=True)
class Note:
    """What a judging layer found out about one candidate.

    Attributes:
        kind: critique, score, verdict or tests.
        node: path of the node that wrote it; the executor fills it in.
        text: the critique or the reason.
        score: in [0, 1] for judging layers; any finite number for scorers; None if unscored.
        passed: the verdict, None if there is none.
        results: one entry per test, None where a test could not be judged.
    """

    kind: NoteKind
    text: str = ""
    score: float | None = None
    passed: bool | None = None
    results: tuple[bool | None, ...] = ()
    node: str = ""

    def __post_init__(self) -> None:
        if self.score is not None:
            object.__setattr__(self, "score", finite(self.score))

    def to_json(self) -> Json:
        """Return the fields that say something."""
        data: dict[str, Json] = {"kind": self.kind, "node": self.node}
        if self.text:
            data["text"] = self.text
        if self.score is not None:
            data["score"] = self.score
        if self.passed is not None:
            data["passed"] = self.passed
        if self.results:
            data["results"] = list(self.results)
        return data

    @classmethod
    def from_json(cls, data: Json) -> Note:
        """Invert `to_json`."""
        return cls(**{**data, "results": tuple(data.get("results", ()))})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed answer, with everything known about it attached to *it*.

    Attributes:
        reply: the whole assistant message.
        id: path of the node that wrote the text, and its position there.
        parents: ids of the candidates it was made from.
        notes: in the order in which they were written.
    """

    reply: Reply
    id: str = ""
    parents: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    @classmethod
    def of(cls, text: str, **rest: Any) -> Candidate:
        """Make a candidate of plain text that no model was paid for."""
        return cls(Reply.of(text, usage=Usage()), **rest)

    @property
    def text(self) -> str:
        """The proposed answer as one string, reasoning left out."""
        return self.reply.text

    @property
    def model(self) -> str:
        """Name of the model that wrote it."""
        return self.reply.model

    def note(self, kind: NoteKind, by: str = "") -> Note | None:
        """Return the last note of a kind, or the last by node `by`."""
        for note in reversed(self.notes):
            if note.kind == kind and (not by or note.node == by):
                return note
        return None

    def score(self, by: str = "") -> float | None:
        """Return the last score of any kind, or the last by node `by`."""
        for note in reversed(self.notes):
            if note.score is not None and (not by or note.node == by):
                return note.score
        return None

    def with_note(self, note: Note) -> Candidate:
        """Return a copy with one more note."""
        return replace(self, notes=(*self.notes, note))

    def to_json(self) -> Json:
        """Return a JSON form that `from_json` inverts."""
        return {
            "id": self.id,
            "text": self.text,
            "reply": self.reply.to_json(),
            "parents": list(self.parents),
            "notes": [note.to_json() for note in self.notes],
        }

    @classmethod
    def from_json(cls, data: Json) -> Candidate:
        """Invert `to_json`."""
        return cls(
            reply=Reply.from_json(data["reply"]),
            id=data["id"],
            parents=tuple(data["parents"]),
            notes=tuple(Note.from_json(note) for note in data["notes"]),
        )


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to answer. It never holds the expected answer, so no layer can read it.

    Attributes:
        messages: the conversation; the last turn is the question.
        id: the benchmark's name for it.
        answer: how an answer is read from a reply and compared; `text` is free text.
        schema: JSON schema of the answer, as canonical text, if the user wants JSON.
        metadata: what a benchmark wants to carry along.
    """

    messages: tuple[Message, ...]
    id: str = "task"
    answer: AnswerKind = "text"
    schema: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, question: str | Sequence[Json] | Task, *, system: str = "", **rest: Any) -> Task:
        """Make a task of a question or of chat messages.

        Raises:
            ConfigError: when there is nothing to answer, or a message is not text.
        """
        if isinstance(question, Task):
            return question
        if isinstance(question, str):
            messages: tuple[Message, ...] = (Message("user", clean_text(question)),)
        else:
            messages = tuple(Message.parse(item) for item in question)
        if system:
            messages = (Message("system", clean_text(system)), *messages)
        if not messages or messages[-1].role == "system" or not messages[-1].content.strip():
            raise ConfigError("there is no question: the last message must be a turn with text")
        return cls(messages, **rest)

    @property
    def question(self) -> str:
        """Text of the last turn."""
        return self.messages[-1].content

    @property
    def conversation(self) -> str:
        """The whole conversation as quoted data for judging roles, system message included."""
        if len(self.messages) == 1:
            return self.question
        return "\n\n".join(f"{m.role}: {m.content}" for m in self.messages)

    def asking(self, text: str) -> tuple[Message, ...]:
        """Return a copy of the messages whose last turn says `text` instead."""
        return (*self.messages[:-1], Message("user", clean_text(text)))

    def to_json(self) -> Json:
        """Return a JSON form that `from_json` inverts."""
        return {
            "messages": [message.to_json() for message in self.messages],
            "id": self.id,
            "answer": self.answer,
            "schema": self.schema,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_json(cls, data: Json) -> Task:
        """Invert `to_json`."""
        return cls(**{**data, "messages": tuple(Message(**m) for m in data["messages"])})


@dataclass(frozen=True, slots=True)
class State:
    """What one node hands to the next.

    Attributes:
        task: what is to be answered.
        candidates: proposed answers in order.
        tests: unit tests in prose.
        asserts: unit tests as code.
        reason: why there is no candidate, where a layer decided so.
    """

    task: Task
    candidates: tuple[Candidate, ...] = ()
    tests: tuple[str, ...] = ()
    asserts: tuple[str, ...] = ()
    reason: str = ""

    def replace(self, **changes: Any) -> State:
        """Return a copy with other values; lists become tuples."""
        changed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in changes.items()
        }
        return replace(self, **changed)

    def to_json(self) -> Json:
        """Return a JSON form that `from_json` inverts."""
        return {
            "task": self.task.to_json(),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "tests": list(self.tests),
            "asserts": list(self.asserts),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Json) -> State:
        """Invert `to_json`."""
        return cls(
            task=Task.from_json(data["task"]),
            candidates=tuple(Candidate.from_json(c) for c in data["candidates"]),
            tests=tuple(data["tests"]),
            asserts=tuple(data["asserts"]),
            reason=data["reason"],
        )
