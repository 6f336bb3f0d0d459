"""What a request asks for, and the reply to it in the words of the OpenAI protocol."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from archon.testing.provider.settings import Settings

__all__ = ["Ask", "BadRequest", "Choice", "Reply", "chunks", "plain", "tokens"]

CONTINUED = "[continued] "
"""How a reply begins that continues the last message of the assistant."""

_PIECE = re.compile(r" ?\w+|.", re.DOTALL)
_OTHERS = (*"ABCDE12345", "yes", "no", " the", " a", " I", " is", " to", "\n", ".", "#")
"""What `top_logprobs` offers beside the token itself; the protocol allows 20 in all."""


class BadRequest(Exception):
    """A request that OpenAI would answer with a 400."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, as far as it matters here.

    Attributes:
        data: the whole body.
        messages: of a legacy completion, its prompt as one message.
        digest: SHA-256 of the messages in canonical JSON.
    """

    data: dict[str, Any]
    chat: bool
    messages: list[dict[str, Any]]
    digest: str
    n: int
    stream: bool

    @classmethod
    def read(cls, body: bytes, *, chat: bool) -> Ask:
        """Read the body of a request.

        Raises:
            BadRequest: if it is none.
        """
        try:
            data = json.loads(body)
        except ValueError as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        if not isinstance(data, dict) or not isinstance(data.get("model"), str):
            raise BadRequest("you must provide a model parameter")
        n = data.get("n")
        n = 1 if n is None else n
        if type(n) is not int or not 1 <= n <= 128:
            raise BadRequest(f"n must be an integer from 1 to 128, not {n!r}")
        messages = _messages(data) if chat else [{"role": "user", "content": _prompt(data)}]
        canonical = json.dumps(messages, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return cls(data, chat, messages, digest, n, data.get("stream") is True)

    @property
    def last(self) -> str:
        """The text of the last message of the user."""
        users = (m for m in reversed(self.messages) if m.get("role") == "user")
        return _text(next(users, {}))

    @property
    def continues(self) -> bool:
        """Whether the reply is to go on where the last message of the assistant ends."""
        last = self.messages[-1]
        return self.data.get("continue_final_message") is True and last["role"] == "assistant"

    @property
    def limit(self) -> int | None:
        """The most tokens of a choice."""
        limit = self.data.get("max_completion_tokens", self.data.get("max_tokens"))
        return limit if isinstance(limit, int) else None

    @property
    def stop(self) -> list[str]:
        """The texts that end a choice."""
        stop = self.data.get("stop") or []
        return [stop] if isinstance(stop, str) else stop


@dataclass(slots=True)
class Choice:
    """One choice of a reply. Faults set things that the types here do not allow."""

    text: Any
    finish: str = "stop"
    logprobs: Any = None
    refusal: str | None = None


@dataclass(slots=True)
class Reply:
    """A whole reply.

    Attributes:
        usage: as the provider reports it; None if it reports nothing.
    """

    number: int
    model: str
    choices: list[Choice]
    usage: Any = field(default_factory=dict)

    @classmethod
    def to(cls, ask: Ask, settings: Settings, number: int) -> Reply:
        """Return the reply to the request of that number."""
        if settings.n == "refuse" and ask.n > 1:
            raise BadRequest("'n' must be 1: this model gives one choice for each request")
        wanted = {"ignore": 1, "fewer": max(1, ask.n - 1)}.get(settings.n, ask.n)
        choices = [_choice(ask, settings, i, number) for i in range(wanted)]
        into = -(-sum(len(_bytes(_text(message))) for message in ask.messages) // 4)
        out = sum(tokens(choice.text) for choice in choices)
        usage = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
        return cls(number, ask.data["model"], choices, usage)


def tokens(text: str) -> int:
    """Count a token for every four bytes."""
    return -(-len(_bytes(text)) // 4)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _messages(data: dict[str, Any]) -> list[dict[str, Any]]:
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list that is not empty")
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
        raise BadRequest("each of 'messages' must be an object with a role")
    return messages


def _prompt(data: dict[str, Any]) -> str:
    prompt = data.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest("'prompt' must be one text")
    return prompt


def _text(message: dict[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(p.get("text", "")) for p in parts if isinstance(p, dict))


def _choice(ask: Ask, settings: Settings, i: int, number: int) -> Choice:
    said = settings.script(ask.messages, i) if settings.script else _said(ask, i)
    if settings.unique:
        said = f"{said} #{number}.{i}"
    if ask.continues:
        said = CONTINUED + said
    if ask.data.get("echo") is True:
        said = ask.messages[0]["content"] + said
    choice = _cut(said, ask)
    if ask.data.get("logprobs"):
        choice.logprobs = _chat_logprobs(choice.text, ask) if ask.chat else _logprobs(choice.text)
    return choice


def _said(ask: Ask, i: int) -> str:
    said = f"answer {ask.digest[:8]} {i}"
    wanted = ask.data.get("response_format") or {}
    match wanted.get("type"):
        case "json_object":
            return json.dumps({"answer": said})
        case "json_schema":
            schema = (wanted.get("json_schema") or {}).get("schema") or {}
            return json.dumps(_instance(schema, schema, said))
    return said


def _instance(schema: dict[str, Any], root: dict[str, Any], said: str) -> Any:
    """Return the least value that a simple schema allows."""
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return _instance(schema[word][0], root, said)
    if "$ref" in schema:
        for name in schema["$ref"].removeprefix("#").strip("/").split("/"):
            root = root[name]
        return _instance(root, root, said)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    return _typed(schema, root, said)


def _typed(schema: dict[str, Any], root: dict[str, Any], said: str) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            inner = schema.get("properties", {})
            return {
                name: _instance(inner.get(name, {}), root, said)
                for name in schema.get("required", ())
            }
        case "array":
            items = schema.get("items", {})
            return [_instance(items, root, said) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "null":
            return None
    return said.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _cut(said: str, ask: Ask) -> Choice:
    """End a text where the request wants it to end."""
    ends = [at for stop in ask.stop if (at := said.find(stop)) >= 0]
    if ends:
        said = said[: min(ends)]
    if ask.limit is not None and tokens(said) > ask.limit:
        return Choice(_bytes(said)[: 4 * ask.limit].decode(errors="ignore"), "length")
    return Choice(said)


def _probability(piece: str, at: int) -> float:
    """Return a logprob from -1 to 0 that depends on nothing else."""
    seed = hashlib.sha256(f"{at}:{piece}".encode("utf-8", "surrogatepass")).digest()
    return -seed[0] / 256


def _chat_logprobs(text: str, ask: Ask) -> dict[str, Any]:
    most = ask.data.get("top_logprobs") or 0
    if type(most) is not int or not 0 <= most <= 20:
        raise BadRequest(f"top_logprobs must be from 0 to 20, not {most!r}")
    content = []
    for at, piece in enumerate(_PIECE.findall(text)):
        chance = _probability(piece, at)
        others = [other for other in _OTHERS if other != piece]
        # Each alternative is three times less likely than the one before.
        top = [(piece, chance), *((o, chance - 1.1 * (j + 1)) for j, o in enumerate(others))]
        shown = [_logprob(*one) for one in top[:most]]
        content.append({**_logprob(piece, chance), "top_logprobs": shown})
    return {"content": content, "refusal": None}


def _logprob(piece: str, chance: float) -> dict[str, Any]:
    return {"token": piece, "logprob": chance, "bytes": list(_bytes(piece))}


def _logprobs(text: str) -> dict[str, Any]:
    """Return the form of the legacy completions."""
    pieces = _PIECE.findall(text)
    chances = [_probability(piece, at) for at, piece in enumerate(pieces)]
    ends = list(accumulate(map(len, pieces)))
    top = [{piece: chance} for piece, chance in zip(pieces, chances, strict=True)]
    return {
        "tokens": pieces,
        "token_logprobs": chances,
        "top_logprobs": top,
        "text_offset": [0, *ends[:-1]],
    }


def _prompt_logprobs(ask: Ask, most: int) -> list[Any]:
    """Return vLLM's form: an object for each token but the first, which itself comes first."""
    pieces = _PIECE.findall("".join(f"{m['role']}: {_text(m)}" for m in ask.messages))
    shown: list[Any] = [None]
    for at, piece in enumerate(pieces[1:], 1):
        chance = _probability(piece, at)
        rows = [(piece, chance), *((o, chance - 1.1 * (j + 1)) for j, o in enumerate(_OTHERS))]
        shown.append(
            {
                str(1000 * at + i): {"logprob": p, "rank": i + 1, "decoded_token": text}
                for i, (text, p) in enumerate(rows[: max(1, most)])
            }
        )
    return shown


def plain(reply: Reply, ask: Ask) -> dict[str, Any]:
    """Return a reply in one piece."""
    body: dict[str, Any] = {
        "id": f"cmpl-{reply.number}",
        "object": "chat.completion" if ask.chat else "text_completion",
        "created": 0,
        "model": reply.model,
        "choices": [_whole(c, i, ask) for i, c in enumerate(reply.choices)],
    }
    if reply.usage is not None:
        body["usage"] = reply.usage
    if (most := ask.data.get("prompt_logprobs")) is not None:
        # As vLLM does: for a chat beside the choices, else in each of them.
        for place in [body] if ask.chat else body["choices"]:
            place["prompt_logprobs"] = _prompt_logprobs(ask, most)
    return body


def _whole(choice: Choice, i: int, ask: Ask) -> dict[str, Any]:
    rest = {"index": i, "finish_reason": choice.finish, "logprobs": choice.logprobs}
    if ask.data.get("return_token_ids") is True:
        # As vLLM does: the token that ended the reply is the last.
        count = len(_PIECE.findall(choice.text))
        rest["token_ids"] = [*range(1000, 1000 + count), *([2] if choice.finish == "stop" else [])]
    if not ask.chat:
        return {"text": choice.text, **rest}
    message = {"role": "assistant", "content": choice.text, "refusal": choice.refusal}
    return {"message": message, **rest}


def chunks(reply: Reply, ask: Ask) -> Iterator[dict[str, Any]]:
    """Return a reply as the chunks of a stream."""
    head = {
        "id": f"cmpl-{reply.number}",
        "object": "chat.completion.chunk" if ask.chat else "text_completion",
        "created": 0,
        "model": reply.model,
    }
    options = ask.data.get("stream_options") or {}
    usage = {"usage": None} if options.get("include_usage") is True else {}
    for i, choice in enumerate(reply.choices):
        for part in _parts(choice, i, ask):
            yield {**head, "choices": [part], **usage}
    if usage and reply.usage is not None:
        yield {**head, "choices": [], "usage": reply.usage}


def _parts(choice: Choice, i: int, ask: Ask) -> Iterator[dict[str, Any]]:
    def part(finish: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
        rest = {"index": i, "finish_reason": finish, "logprobs": logprobs}
        return {"delta": delta, **rest} if ask.chat else {"text": delta.get("content", ""), **rest}

    text = choice.text
    middle = len(text) // 2
    if ask.chat:
        yield part(role="assistant", content="")
    yield part(content=text[:middle], logprobs=choice.logprobs)
    yield part(content=text[middle:])
    yield part(choice.finish, **({"refusal": choice.refusal} if choice.refusal else {}))
