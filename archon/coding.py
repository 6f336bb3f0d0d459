"""How a program is read from a reply, and how it is joined with the prompt that it completes.

Models write code in many forms: in a fenced block among prose, in several blocks of which one is
an example of use, without any fence, with the signature that the prompt already gave, or as the
body of the function alone. `program` finds it, `complete` makes it a whole module. Both are total
(they never raise), take time linear in the text, and neither parses nor executes the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Block", "blocks", "complete", "defines", "names", "preceded", "program"]

PYTHON = frozenset({"python", "py", "python3", "py3", "python2"})
_TEXTS = frozenset({"", "text", "txt", "plaintext", "code"})

_OPEN = re.compile(r"([ \t]{0,12})(`{3,40}|~{3,40})[ \t]{0,4}\{?\.?([\w+#.-]{0,30})")
_CODE = re.compile(
    r"(?:def|class|async def)\s{1,4}\w|@\w|import\s{1,4}\w|from\s{1,4}[\w.]{1,200}\s{1,4}import\b"
    r"|if\s[^\n]{1,400}:|for\s[^\n]{1,400}\sin\s[^\n]{1,400}:|while\s[^\n]{1,400}:"
    r"|(?:else|try|finally)\s{0,4}:|(?:elif|except|with)\b[^\n]{0,400}:"
    r"|[A-Za-z_][\w.]{0,100}(?:\[[^\]\n]{0,200}\])?\s{0,4}(?::\s{0,4}[^=\n]{1,100})?[-+*/%&|]?=[^=]"
    r"|[A-Za-z_][\w.]{0,100}\(|(?:assert|global|return|raise)\s|[#)\]}]|\"\"\"|'''|pass\b"
)
"""How a line at the margin begins that is code and not prose."""
_BEGIN = re.compile(
    r"(?:def|class|async def)\s{1,4}\w|@\w|import\s{1,4}\w|from\s{1,4}[\w.]{1,200}\s{1,4}import\b"
    r"|[A-Za-z_]\w{0,100} = \S"
)
"""How unfenced code begins behind prose."""
_FUTURE = re.compile(r"^from __future__ import [^\n]{1,200}\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        language: what stands behind the opening fence, in lower case; often empty.
        code: the text between the fences. The line break before the closing fence belongs to it.
        closed: False where the text ended first, such as a reply cut by its length.
    """

    language: str
    code: str
    closed: bool = True


def blocks(text: str) -> list[Block]:
    r"""Return the fenced blocks of a text, in order.

    >>> blocks("So:\n```python\nx = 1\n```\nDone.")
    [Block(language='python', code='x = 1', closed=True)]
    """
    found: list[Block] = []
    lines = _lines(text)
    for line in lines:
        if (opening := _OPEN.match(line)) and _info_only(line, opening):
            found.append(_block(opening, line, lines))
    return found


def _lines(text: str) -> Iterator[str]:
    """Yield lines with their ends; unlike `splitlines`, only line feeds end a line."""
    parts = text.split("\n")
    yield from (f"{part}\n" for part in parts[:-1])
    if parts[-1]:
        yield parts[-1]


def _info_only(line: str, opening: re.Match[str]) -> bool:
    """Whether a line opens a fence, and is not code between backticks in one line."""
    return "`" not in line[opening.end() :]


def _block(opening: re.Match[str], first: str, lines: Iterator[str]) -> Block:
    indent, fence, language = opening.group(1), opening.group(2), opening.group(3)
    kept: list[str] = []
    closed = False
    for line in lines:
        bare = line.strip()
        if len(bare) >= len(fence) and bare == fence[0] * len(bare):
            closed = True
            break
        kept.append(line.removeprefix(indent))
    code = "".join(kept)
    end = "\r\n" if first.endswith("\r\n") else "\n"
    return Block(language.lower(), code.removesuffix(end) if closed else code, closed)


def defines(code: str, name: str) -> bool:
    r"""Return whether code gives a name at its margin: a function, a class or an assignment.

    >>> defines("def f(x):\n    return x", "f"), defines("print(f(1))", "f")
    (True, False)
    """
    pattern = rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(name)}\b|^{re.escape(name)}[ \t]*="
    return bool(name) and re.search(pattern, code, re.MULTILINE) is not None


_NAMES = re.compile(
    r"^(?:(?:async[ \t]+)?def|class)[ \t]+([A-Za-z_]\w*)|^([A-Za-z_]\w*)[ \t]*=[^=]", re.MULTILINE
)


def names(code: str) -> list[str]:
    r"""Return what code defines at its margin, in order, each once.

    >>> names("def f(x):\n    y = x\n\ng = f\ng == f\n")
    ['f', 'g']
    """
    return list(dict.fromkeys(m.group(1) or m.group(2) for m in _NAMES.finditer(code)))


def program(text: str, entry_point: str = "") -> str | None:
    r"""Return the program that a reply gives, or None if it gives none.

    Of the fenced blocks in Python (or, without any, those without a language) it is the last that
    defines `entry_point`; without one, the last that is at least half as long as the longest, so
    that neither a first attempt nor an example of use is taken. Without a fence it is the text
    from the first line to the last line that can be code; a text that begins indented is the
    body of a function.

    Args:
        text: a whole reply.
        entry_point: the function that is asked for, where it is known.

    >>> program("Use recursion.\n```python\ndef f(n):\n    return n\n```\nThen `f(3)` is 3.")
    'def f(n):\n    return n'
    """
    if found := _candidates(blocks(text)):
        return _chosen(found, entry_point)
    return _unfenced(text)


def _candidates(found: Sequence[Block]) -> list[str]:
    python = [b.code for b in found if b.language in PYTHON and b.code.strip()]
    return python or [b.code for b in found if b.language in _TEXTS and b.code.strip()]


def _chosen(codes: Sequence[str], entry_point: str) -> str:
    defining = [code for code in codes if defines(code, entry_point)]
    if defining:
        return defining[-1]
    least = max(len(code.strip()) for code in codes) / 2
    return [code for code in codes if len(code.strip()) >= least][-1]


def _unfenced(text: str) -> str | None:
    lines = list(_lines(text))
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return None
    if lines[first][:1] in " \t":
        return _until_prose(lines[first:], body=True)
    start = next((i for i, line in enumerate(lines) if _BEGIN.match(line)), None)
    if start is None:
        # A program without any definition, or the statements of a body: code from its first line.
        start = first if _CODE.match(lines[first]) else None
    return None if start is None else _until_prose(lines[start:], body=False)


def _until_prose(lines: Sequence[str], *, body: bool) -> str | None:
    """Return the lines up to the first at the margin that cannot belong to the code."""
    end = 0
    quoted = ""
    for number, line in enumerate(lines):
        margin = line[:1] not in " \t\r\n"
        if margin and not quoted and (body or not _CODE.match(line)):
            break
        quoted = _open_quote(line, quoted)
        if line.strip():
            end = number + 1
    code = "".join(lines[:end])
    return code.rstrip("\r\n") or None


def _open_quote(line: str, quoted: str) -> str:
    """Return the triple quote that is open behind a line, given the one open before it."""
    for mark in re.findall(r"\"\"\"|'''", line):
        quoted = "" if quoted == mark else quoted or mark
    return quoted


def complete(code: str, prompt: str, entry_point: str) -> str:
    r'''Return a whole module from a prompt that ends in a signature, and what a reply gave.

    Code that defines the function itself follows what stands before the signature (imports,
    helpers). Anything else is the body: it is indented as the prompt is, where it is not.

    Args:
        code: what `program` returned.
        prompt: source that ends behind the signature and docstring of `entry_point`.
        entry_point: the function's name.

    >>> complete("return x + 1", 'def f(x):\n    """Add one."""\n', "f")
    'def f(x):\n    """Add one."""\n    return x + 1\n'
    '''
    if defines(code, entry_point):
        head = prompt[: _signature(prompt, entry_point)].strip()
        return preceded(code, head).rstrip("\n") + "\n"
    return f"{prompt.rstrip()}\n{_indented(code, _indent_of(prompt))}\n"


def preceded(code: str, head: str) -> str:
    r"""Return code behind other code; what has to stand first in a module still does.

    >>> preceded("from __future__ import annotations\nx = y", "y = 1")
    'from __future__ import annotations\ny = 1\n\n\nx = y'
    """
    return _futures_first(f"{head}\n\n\n{code}" if head else code)


def _signature(prompt: str, entry_point: str) -> int:
    pattern = rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b"
    found = list(re.finditer(pattern, prompt, re.MULTILINE))
    return found[-1].start() if found else 0


def _futures_first(code: str) -> str:
    futures = "".join(dict.fromkeys(m.rstrip("\n") + "\n" for m in _FUTURE.findall(code)))
    return futures + _FUTURE.sub("", code) if futures else code


def _indent_of(prompt: str) -> str:
    last = prompt.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())] or "    "


def _indented(body: str, indent: str) -> str:
    """Return a body with its first line at `indent`; one that is there already stays as it is."""
    lines = body.strip("\r\n").split("\n")
    depths = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    if not depths:
        return indent + "pass"
    first, rest = depths[0], depths[1:]
    if rest and not first and _first_was_stripped(lines[0], rest):
        return "\n".join([indent + lines[0].lstrip(), *lines[1:]])
    if lines[0].startswith(indent) and first == len(indent):
        return "\n".join(lines)
    return "\n".join(
        indent + line[min(first, len(line)) :] if line.strip() else "" for line in lines
    )


def _first_was_stripped(line: str, rest: Sequence[int]) -> bool:
    """Whether only the first line lost its indentation, as when a reply is trimmed."""
    return min(rest) > 0 and (not line.rstrip().endswith(":") or rest[0] != min(rest))
