"""The one reader of replies in the OpenAI protocol: JSON in, an outcome for each draw out.

A server may say anything. What the protocol allows is a reply, however odd; everything else is
an error of kind `malformed`, and nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from archon.backends.http_errors import failed, fault_in_body, malformed
from archon.backends.http_prompt import prefix_tokens
from archon.backends.http_verdicts import shown_tokens, verdict_probs
from archon.backends.metering import tokens_of, usages
from archon.backends.streaming import LARGEST
from archon.errors import ModelError
from archon.model import Outcome, Price, Request
from archon.plain import clean_text
from archon.tokens import Token
from archon.types import Finish, Json, Part, Reply, TextPart, ToolCall

__all__ = ["Malformed", "again", "decode", "read"]

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end": "stop",
    "end_turn": "stop",
    "complete": "stop",
    "completed": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "filter",
    "content_filtered": "filter",
    "safety": "filter",
    "prohibited_content": "filter",
    "blocklist": "filter",
    "recitation": "filter",
    "refusal": "refusal",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
"""What servers say about why a reply ended."""
_CUT = frozenset({"abort", "error", "insufficient_system_resource", "network_error"})
"""Ways to say that the server gave up: what there is of the reply is not the model's."""


class Malformed(Exception):
    """What came breaks the protocol."""


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_no_number)


def decode(data: bytes) -> Json:
    """Parse JSON.

    Raises:
        Malformed: for anything that is not strictly JSON in UTF-8, or too deep to be read.
    """
    try:
        return _decoder.decode(data.decode())
    except (ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else str(error)
        raise Malformed(f"not JSON: {reason[:100]}") from None


@dataclass(frozen=True, slots=True)
class _Said:
    """What one choice says."""

    parts: tuple[Part, ...]
    finish: Finish
    reasoning: str
    logprobs: Json
    stop: str = ""
    prompt: Json = None
    tokens: tuple[int, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the last token is the one by which the model ended its reply."""
        return self.finish in ("stop", "tool_calls") and not self.stop

    @property
    def size(self) -> int:
        """Characters it took to say it."""
        size = len(self.reasoning)
        for part in self.parts:
            match part:
                case TextPart(text):
                    size += len(text)
                case ToolCall(_, name, arguments):
                    size += len(name) + len(arguments)
        return size


def again(name: str) -> ModelError:
    """Return the error for a draw that was not answered, nor paid: it can be asked at once."""
    why = f"{name!r} gave fewer choices than asked for"
    return ModelError(why, kind="transient", retry_after=0.0, billed=False)


def read(
    body: Json, request: Request, count: int, price: Price | None, *, whole: bool
) -> list[Outcome]:
    """Return an outcome for each draw of a request.

    Args:
        body: what was parsed.
        request: what was asked.
        count: how many draws; those beyond the choices that came are to be asked again.
        price: the model's list price, if known.
        whole: whether the server itself continues the prefix and repeats it, where one was given.
    """
    name = request.model.model
    if not isinstance(body, dict):
        return [malformed(name, "not an object")] * count
    if body.get("error"):
        return [fault_in_body(name, body["error"])] * count
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return [malformed(name, "no choices")] * count
    # More than asked for are paid, but nobody waits for them.
    said = [_choice(choice, request, whole=whole) for choice in choices[:count]]
    outcomes = _metered(said, body, request, price)
    missing: list[Outcome] = [again(name) for _ in range(count - len(outcomes))]
    return outcomes + missing


def _metered(
    said: Sequence[_Said | ModelError], body: dict[str, Json], request: Request, price: Price | None
) -> list[Outcome]:
    model = request.model
    good = [choice for choice in said if isinstance(choice, _Said)]
    if not good:
        return list(said)  # type: ignore[arg-type]  # errors only
    tokens = tokens_of(body.get("usage"))
    used = iter(usages(tokens, [choice.size for choice in good], price, model.max_tokens))
    outcomes: list[Outcome] = []
    for choice in said:
        if isinstance(choice, ModelError):
            outcomes.append(choice)
            continue
        usage, paid = next(used)
        probs = verdict_probs(request, choice.logprobs) if request.verdicts else ()
        shown = _tokens(choice, body, request)
        if shown is None:
            outcomes.append(malformed(model.model, "no log-probabilities, which were asked for"))
            continue
        if request.tokens and choice.size > len(request.prefix) and not choice.tokens:
            outcomes.append(malformed(model.model, "no token numbers, which were asked for"))
            continue
        outcomes.append(
            Reply(
                choice.parts,
                model.model,
                choice.finish,
                choice.reasoning,
                usage,
                probs,
                paid=paid,
                stop=choice.stop,
                tokens=choice.tokens[: -1 if choice.ended else None],
                logprobs=shown,
            )
        )
    return outcomes


def _tokens(choice: _Said, body: dict[str, Json], request: Request) -> tuple[Token, ...] | None:
    """Return what was asked to be shown of the tokens; None where that is missing."""
    if not request.logprobs:
        return ()
    written = shown_tokens(choice.logprobs, request.logprobs)
    if len(written) == len(choice.tokens):
        pairs = zip(written, choice.tokens, strict=True)
        written = tuple(replace(token, id=number) for token, number in pairs)
    if not written and choice.size > len(request.prefix):
        return None
    if not (request.echo and request.prefix):
        return written
    # In chats it stands beside the choices, which all have the same prompt.
    shown = choice.prompt or body.get("prompt_logprobs")
    given = prefix_tokens(shown, request.prefix, request.logprobs)
    return (*given, *written) if given else None


def _choice(choice: Json, request: Request, *, whole: bool) -> _Said | ModelError:
    name = request.model.model
    try:
        if not isinstance(choice, dict):
            raise Malformed("a choice is not an object")
        if isinstance(choice.get("error"), dict):
            return fault_in_body(name, choice["error"])
        reason = _reason(choice.get("finish_reason"))
        if reason in _CUT:
            return failed(name, f"gave up: {reason}", "transient", billed=True)
        said = _chat(choice, reason) if request.model.protocol == "chat" else _plain(choice, reason)
    except Malformed as error:
        return malformed(name, str(error))
    if (stop := _stop(choice)) in request.model.stop:
        said = replace(said, stop=stop)
    if request.echo:
        said = replace(said, prompt=choice.get("prompt_logprobs"))
    if request.tokens:
        said = replace(said, tokens=_numbers(choice.get("token_ids")))
    return _prefixed(said, request.prefix, whole=whole) if request.prefix else said


def _stop(choice: dict[str, Json]) -> str:
    """Return the stop string that was met, as vLLM and SGLang name it."""
    names = (choice.get(name) for name in ("stop_reason", "matched_stop"))
    return next((name for name in names if isinstance(name, str)), "")


def _numbers(tokens: Json) -> tuple[int, ...]:
    """Return the numbers of tokens; nothing where they are no such thing."""
    if not isinstance(tokens, list):
        return ()
    return tuple(tokens) if all(type(token) is int and token >= 0 for token in tokens) else ()


def _reason(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed("no finish_reason")
    return value.lower()


def _finish(reason: str, said: bool) -> Finish:
    finish = _FINISH.get(reason)
    if finish is not None:
        return finish
    if not said:
        raise Malformed(f"no text, and unknown finish_reason {reason[:40]!r}")
    return "stop"


def _plain(choice: dict[str, Json], reason: str) -> _Said:
    text = choice.get("text")
    if not isinstance(text, str):
        raise Malformed(f"the text is {type(text).__name__}")
    _cap(text)
    finish = _finish(reason, bool(text))
    parts = (TextPart(clean_text(text)),) if text else ()
    return _Said(parts, finish, "", choice.get("logprobs"))


def _chat(choice: dict[str, Json], reason: str) -> _Said:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed("a choice without a message")
    text, thought = _content(message.get("content"))
    thought = _thought(message) or thought
    _cap(text)
    refusal = message.get("refusal")
    calls = _calls(message)
    finish = _finish(reason, bool(text or calls))
    if isinstance(refusal, str) and refusal:
        finish, text = "refusal", text or refusal
    if text is None and not calls and not thought and finish in ("stop", "tool_calls"):
        raise Malformed("a message without content")
    parts: list[Part] = [TextPart(clean_text(text))] if text else []
    return _Said((*parts, *calls), finish, clean_text(thought), choice.get("logprobs"))


def _cap(text: str | None) -> None:
    if text is not None and len(text) > LARGEST:
        raise Malformed(f"more than {LARGEST} bytes")


def _content(content: Json) -> tuple[str | None, str]:
    """Return text and thinking text of a message's content, which may come in parts."""
    if content is None or isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        raise Malformed(f"the content is {type(content).__name__}")
    texts, thoughts = [], []
    for part in content:
        if isinstance(part, dict) and "thinking" in part:
            thoughts.append(_content(part["thinking"])[0] or "")
        else:
            texts.append(_part(part))
    return "".join(texts), "".join(thoughts)


def _part(part: Json) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if not isinstance(text, str):
        raise Malformed("a part of the content without text")
    return text


def _thought(message: dict[str, Json]) -> str:
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _calls(message: dict[str, Json]) -> list[ToolCall]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise Malformed("tool_calls is not a list")
    if isinstance(message.get("function_call"), dict):  # the form before `tool_calls`
        calls = [*calls, {"function": message["function_call"]}]
    return [_call(call) for call in calls]


def _call(call: Json) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Malformed("a tool call without a function")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments, ensure_ascii=False)
    if arguments is not None and not isinstance(arguments, str):
        raise Malformed("arguments of a tool call that are no text")
    call_id = str(call.get("id") or "")
    return ToolCall(*map(clean_text, (call_id, function["name"], arguments or "")))


def _prefixed(said: _Said, prefix: str, *, whole: bool) -> _Said:
    """Put the prefix in front of its continuation, unless the server did."""
    first = said.parts[0] if said.parts else None
    text = first.text if isinstance(first, TextPart) else ""
    rest = said.parts[1:] if isinstance(first, TextPart) else said.parts
    if not (whole and text.startswith(prefix)):
        text = prefix + text
    return replace(said, parts=(TextPart(clean_text(text)), *rest))
