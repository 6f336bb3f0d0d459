"""What comes of a candidate: outcomes, arguments changed in place, programs, limits."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.errors import ConfigError
from archon.sandbox import (
    Backend,
    Example,
    Limits,
    ProgramRun,
    Report,
    Sandbox,
    Test,
    TestFile,
    same_output,
)
from tests.sandbox.conftest import Warm, made


def check(warm: Warm, source: str, tests: TestFile | Sequence[str], **rest: Any) -> Report:
    rest.setdefault("entry_point", "f")
    return warm.inside(lambda sandbox: sandbox.check(source, tests, **rest))


def outcomes(report: Report) -> list[str]:
    return [verdict.outcome for verdict in report.verdicts]


@pytest.mark.parametrize(
    ("source", "outcome", "detail"),
    [
        ("def f(x): return x * 2", "pass", ""),
        ("def f(x): return x", "fail", "f(2) returned 2"),
        ("def f(x): return x / 0", "error", "ZeroDivisionError: division by zero"),
        ("def f(x): raise MemoryError", "oom", "memory"),
        ("def f(x): return bytearray(1 << 30)", "oom", "memory"),
        ("def f(x):\n    while True: pass", "timeout", "0.5 s"),
        ("import time\ndef f(x): time.sleep(9)", "timeout", "0.5 s"),
        ("while True: pass", "timeout", "loading"),
        ("import os\ndef f(x): os._exit(3)", "killed", "exit code 3"),
        ("import os\ndef f(x): os.abort()", "killed", "SIGABRT"),
        ("import os\nos._exit(0)", "killed", "loading"),
        ("def f(x): return object()", "protocol", "'object'"),
        ("def f(x): return '\\ud800'", "protocol", "surrogates"),
        ("import os\ndef f(x): os.write(3, b'x' * 99)", "protocol", ""),
        ("def g(x): return 4", "error", "NameError"),
        ("def f(x:", "error", "SyntaxError"),
        ("raise ValueError('no')", "error", "ValueError: no (line 1)"),
        ("#" * 300_000, "refused", "300,000 bytes"),
        ("x = '\ud800'", "refused", "surrogates"),
        ("class E(ValueError): pass\ndef f(x): raise E('odd')", "error", "E: odd"),
    ],
)
def test_outcomes(source: str, outcome: str, detail: str, warm: Warm) -> None:
    limits = Limits(seconds=0.5 if outcome == "timeout" else 10)
    [verdict] = check(warm, source, ["assert f(2) == 4"], limits=limits).verdicts
    assert (verdict.outcome, verdict.id) == (outcome, "0")
    assert detail in verdict.detail


def test_each_test_has_its_own_outcome_whatever_the_others_did(warm: Warm) -> None:
    source = """
import os
def f(x):
    if x == 1: os._exit(0)
    if x == 2: raise KeyError(x)
    if x == 3:
        while True: pass
    return x
"""
    tests = TestFile(tuple(Test(f"assert f({n}) == {n}", f"t{n}") for n in range(6)))
    report = check(warm, source, tests, limits=Limits(seconds=0.6))
    assert outcomes(report) == ["pass", "killed", "error", "timeout", "pass", "pass"]
    assert [v.id for v in report.verdicts] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert not report.passed


def test_the_rest_is_left_out_after_the_first_failure(warm: Warm) -> None:
    tests = ["assert f(1) == 1", "assert f(1) == 2", "assert f(1) == 1"]
    report = check(warm, "def f(x): return x", tests, stop_at_first=True)
    assert outcomes(report) == ["pass", "fail"]


def test_arguments_changed_in_place_are_seen(warm: Warm) -> None:
    source = """
def f(a, b, c, *, d):
    a.sort(); a[0].append(9); b['k']['z'] = 1; del b['old']; c.add(3); d[0] = 7
"""
    test = """
inner = [1]
a, deep, c, d = [[2], inner], {}, {1}, bytearray(b'xy')
b = {'k': deep, 'old': 0}
assert f(a, b, c, d=d) is None
assert a == [[1, 9], [2]], a
assert b == {'k': {'z': 1}} and deep == {'z': 1}
assert c == {1, 3} and d == bytearray([7, 121])
"""
    assert outcomes(check(warm, source, [test])) == ["pass"]


def test_what_is_not_changed_stays_the_same_object(warm: Warm) -> None:
    test = "x = [[1], {}]\ny = x[0]\nassert f(x) == 2\nassert x[0] is y and x == [[1], {}]"
    assert outcomes(check(warm, "def f(x): return len(x)", [test])) == ["pass"]


def test_types_are_kept(warm: Warm) -> None:
    source = "def f(x): return x"
    values = ["(1, 2)", "[1, (2,)]", "{1: {2}}", "b'x'", "1.5", "True", "None", "frozenset([1])",
              "2 ** 300", "1j", "range(3)"]  # fmt: skip
    tests = [f"v = {v}\nr = f(v)\nassert r == v and type(r) is type(v)" for v in values]
    assert outcomes(check(warm, source, tests)) == ["pass"] * len(values)


def test_exceptions_cross_by_their_built_in_type(warm: Warm) -> None:
    source = "class Mine(KeyError): pass\ndef f(x): raise Mine(x)"
    test = """
try: f('gone')
except KeyError as error: assert 'gone' in str(error)
else: assert False
"""
    assert outcomes(check(warm, source, [test])) == ["pass"]


def test_a_test_cannot_swallow_that_a_value_did_not_cross(warm: Warm) -> None:
    test = "try: f(1)\nexcept BaseException: pass"
    assert outcomes(check(warm, "def f(x): return object()", [test])) == ["protocol"]


def test_setup_runs_before_the_tests_and_names_are_the_candidates(warm: Warm) -> None:
    file = TestFile.of(["assert twice(f(2)) == 8"], "def twice(x): return 2 * x\ndef f(x): pass")
    source = "def f(x): return x * 2\ndef twice(x): return 0"
    assert check(warm, source, file).passed


def test_a_setup_that_fails_is_no_pass(warm: Warm) -> None:
    file = TestFile.of(["pass", "pass"], "1 / 0")
    report = check(warm, "def f(x): return 1", file)
    assert outcomes(report) == ["error", "error"]
    assert "the setup of the tests" in report.verdicts[0].detail


def test_tests_do_not_see_what_others_did(warm: Warm) -> None:
    tests = ["y = 1", "assert 'y' not in globals()"]
    assert outcomes(check(warm, "def f(x): return x", tests)) == ["pass", "pass"]


def test_no_test_is_no_pass(warm: Warm) -> None:
    assert not check(warm, "def f(x): return x", []).passed


def test_several_entry_points(warm: Warm) -> None:
    source = "def push(s, x): s.append(x)\ndef top(s): return s[-1]"
    tests = ["s = []\npush(s, 4)\nassert top(s) == 4"]
    assert check(warm, source, tests, entry_point=["push", "top"]).passed


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("def f(x):\n    yield from range(x)", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(g): return g(2)", "assert f(lambda x: x + 1) == 3"),
        ("class f:\n    def __init__(self, x): self.x = x", "assert f(2).x == 2"),
    ],
    ids=["generator", "callback", "class"],
)
def test_what_cannot_cross_runs_in_one_process_and_is_stamped(
    source: str, test: str, warm: Warm
) -> None:
    apart = check(warm, source, [test])
    assert outcomes(apart) == ["protocol"]
    assert not apart.forgeable
    together = check(warm, source, [test], compatibility=True)
    assert outcomes(together) == ["pass"]
    assert together.forgeable
    assert together.passed_if_trusted
    assert not together.passed


def test_equal_to_everything_is_noticed_even_in_one_process(warm: Warm) -> None:
    source = "class E:\n    def __eq__(self, o): return True\ndef f(x): return E()"
    report = check(warm, source, ["assert f(1) == 2"], compatibility=True)
    assert outcomes(report) == ["protocol"]
    assert "equal to anything" in report.verdicts[0].detail


def test_a_test_file_may_be_hostile_too(warm: Warm) -> None:
    tests = ["import os\nos._exit(0)", "while True: pass", "assert f(1) == 1",
             "import os\nfor n in range(9):\n    try: os.write(n, bytes(99))\n"
             "    except OSError: pass"]  # fmt: skip
    report = check(warm, "def f(x): return x", tests, limits=Limits(seconds=0.6))
    assert outcomes(report) == ["error", "timeout", "pass", "protocol"]


FRAME = """
import os, struct, sys
def frame(kind, name, body): return struct.pack('>Ic16s', len(body), kind, name) + body
def sized(tag, data): return tag + struct.pack('>I', len(data)) + data
def verdict(test): return b't' + struct.pack('>I', 3) + sized(b'b', test) + sized(b's', b'pass') \\
    + sized(b's', b'')
ANSWER = b't' + struct.pack('>I', 2) + sized(b'i', b'\\x04') + b'd' + struct.pack('>I', 0)
"""


def test_an_answer_counts_only_under_the_id_of_its_call(warm: Warm) -> None:
    """The value is the right one; that it stands under an id of its own choice gives it away."""
    source = FRAME + "def f(x):\n    os.write(3, frame(b'r', bytes(16), ANSWER))\n    return 4"
    [verdict] = check(warm, source, ["assert f(2) == 4"]).verdicts
    assert verdict.outcome == "protocol"
    assert "not made" in verdict.detail


NAMED = (
    FRAME
    + """
import time
def call_id():
    frame_ = sys._getframe()
    while type(frame_.f_locals.get('name')) is not bytes: frame_ = frame_.f_back
    return frame_.f_locals['name']
def f(x):
    wire = frame(b'r', call_id(), ANSWER)
"""
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("os.write(3, wire); time.sleep(9)", ["pass", "timeout"]),  # its id, told to it in honesty
        ("os.write(3, wire); return 4", ["pass", "protocol"]),
        ("for byte in wire: os.write(3, bytes([byte])); time.sleep(0.05)", ["timeout"] * 2),
        ("os.write(3, wire[:-1]); time.sleep(9)", ["timeout"] * 2),
        ("import socket; socket.socket(fileno=3).shutdown(1); time.sleep(9)", ["protocol"] * 2),
        ("import signal; os.kill(os.getpid(), signal.SIGSTOP)", ["timeout"] * 2),
        ("return {(2**61 - 1) * n: n for n in range(40_000)}", ["timeout"] * 2),
    ],
    ids=str.split("sleeps-after twice drips half hangs-up stops collisions"),
)
def test_a_strange_answer_is_one_answer_or_none(body: str, expected: list[str], warm: Warm) -> None:
    """What comes late, slowly, twice or in part is never a pass that was not earned."""
    tests = ["assert f(2) == 4", "assert f(2) == 4"]
    limits = Limits(seconds=0.5 if "timeout" in expected else 10)
    report = check(warm, f"{NAMED}    {body}", tests, limits=limits)
    assert outcomes(report) == expected


@pytest.mark.parametrize("known", ["nothing", "the nonce", "the test", "nonce and test"])
def test_a_verdict_counts_only_under_the_nonce_for_the_test_asked(known: str, warm: Warm) -> None:
    """Test code that speaks for itself is believed only if it knows what the supervisor sent."""
    found = {
        "nothing": "nonce, test = bytes(16), bytes(16)",
        "the nonce": "test = bytes(16)",
        "the test": "nonce = bytes(16)",
        "nonce and test": "",
    }[known]
    test = f"""{FRAME}
frame_, names = sys._getframe(), {{}}
while frame_:
    names.update(frame_.f_locals)
    frame_ = frame_.f_back
nonce, test = names['nonce'], names['test']
{found}
os.write(3, frame(b't', nonce, verdict(test)))
assert f(1) == 2
"""
    report = check(warm, "def f(x): return x", [test, "assert f(1) == 1"])
    first = "pass" if known == "nonce and test" else "protocol"
    # The late second verdict is one too many for the next test, which is not taken for passed.
    second = "protocol" if known == "nonce and test" else "pass"
    assert outcomes(report) == [first, second]


def test_nothing_is_left_for_the_next_candidate(warm: Warm) -> None:
    leaves = "import sys, json, math\nsys.left = json.left = 1\nmath.pi = 4\ndef f(x): return 1"
    looks = "import sys, json, math\ndef f(x): return [hasattr(sys, 'left'), math.pi > 3.5]"

    async def both(sandbox: Sandbox) -> Report:
        await sandbox.check(leaves, ["assert f(1) == 1"], entry_point="f")
        return await sandbox.check(looks, ["assert f(1) == [False, False]"], entry_point="f")

    assert warm.inside(both).passed


@pytest.mark.parametrize("level", [3, 2])
def test_packages_can_be_imported_where_they_are_granted(
    level: int, usable: dict[int, Backend], tmp_path: Path
) -> None:
    """Also below a folder that only its owner may enter, such as pytest's own."""
    if level not in usable:
        pytest.skip(f"no level {level} here")
    (tmp_path / "granted.py").write_text("VALUE = 7")
    (tmp_path / "granted.py").chmod(0o644)
    source = "def f():\n    import granted\n    return granted.VALUE"

    async def work(packages: Sequence[str]) -> Report:
        sandbox = made(usable[level], size=1, packages=packages)
        try:
            return await sandbox.check(source, ["assert f() == 7"], entry_point="f")
        finally:
            sandbox.close()

    if os.geteuid() == 0:
        tmp_path.chmod(0o700)
        with pytest.raises(ConfigError, match=r"chmod o\+rx"):
            asyncio.run(work([str(tmp_path)]))
    tmp_path.chmod(0o755)
    without = asyncio.run(work([]))
    assert outcomes(without) == ["error"]
    assert "granted" in without.verdicts[0].detail
    report = asyncio.run(work([str(tmp_path)]))
    assert report.passed, report.verdicts
    assert report.stamp.packages == (str(tmp_path),)
    assert report.stamp.policy != without.stamp.policy


def test_reports_say_where_they_come_from(warm: Warm) -> None:
    report = check(warm, "def f(x): return x", ["assert f(1) == 1"])
    assert (report.stamp.backend, report.stamp.level) == (warm.backend.name, warm.backend.level)
    assert not report.stamp.unsafe
    assert report.retries == 0
    assert report.seconds > 0
    other = check(warm, "def f(x): return x", ["assert f(1)"], limits=Limits(seconds=9))
    assert other.stamp.policy != report.stamp.policy
    assert report.to_json()["verdicts"][0]["outcome"] == "pass"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9])
def test_limits_are_checked(seconds: float) -> None:
    with pytest.raises(ConfigError, match="seconds"):
        Limits(seconds=seconds)
    with pytest.raises(ConfigError, match="memory_bytes"):
        Limits(memory_bytes=1)


def program(warm: Warm, source: str, stdin: str = "", **limits: Any) -> ProgramRun:
    made_limits = Limits(**({"seconds": 10} | limits))
    return warm.inside(lambda sandbox: sandbox.run_program(source, stdin, limits=made_limits))


@pytest.mark.parametrize(
    "source",
    [
        "print(sum(map(int, input().split())))",
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "import os\nos.write(1, str(sum(map(int, os.read(0, 99).split()))).encode())",
        "print(sum(int(x) for x in open(0).read().split()))\nexit()",
        "import sys\nfor line in sys.stdin: print(sum(map(int, line.split())))\nsys.exit(0)",
        "if __name__ == '__main__':\n    print(sum(map(int, input().split())), flush=True)\n"
        "    import os; os._exit(0)",
        "import threading, sys\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\n"
        "def main(): print(sum(map(int, input().split())))\n"
        "t = threading.Thread(target=main); t.start(); t.join()",
    ],
)
def test_programs_read_stdin_and_write_stdout(source: str, warm: Warm) -> None:
    ran = program(warm, source, "1 2 3\n")
    assert (ran.outcome, ran.stdout.strip()) == ("pass", "6"), ran


def test_how_programs_fail(warm: Warm) -> None:
    assert program(warm, "print(1)\n1/0").outcome == "error"
    assert program(warm, "import sys\nsys.exit(2)").outcome == "error"
    assert program(warm, "import os\nos._exit(2)").outcome == "killed"
    assert program(warm, "while True: pass", seconds=0.4).outcome == "timeout"
    assert program(warm, "b'x' * (1 << 30)").outcome == "oom"
    ran = program(warm, "print('x' * 100_000)")
    assert ran.outcome == "error"
    assert "65,536 bytes of output" in ran.detail
    assert program(warm, "print('x' * 100_000)", output_bytes=200_000).outcome == "pass"


def test_large_stdin_arrives_and_unread_stdin_does_no_harm(warm: Warm) -> None:
    text = "7 " * 400_000
    ran = program(warm, "import sys\nprint(len(sys.stdin.read().split()))", text)
    assert ran.stdout == "400000\n"
    assert program(warm, "print(1)", text).outcome == "pass"


def test_programs_are_checked_by_examples(warm: Warm) -> None:
    source = "n = int(input())\nprint(n * 0.1)"
    examples = [Example("1", "0.1"), Example("3", "0.3\n", "float"), Example("2", "0.3")]

    async def work(sandbox: Sandbox) -> Report:
        return await sandbox.check_program(source, examples)

    report = warm.inside(work)
    assert [(v.id, v.outcome) for v in report.verdicts] == [
        ("0", "pass"), ("float", "pass"), ("2", "fail"),
    ]  # fmt: skip
    assert not report.passed


@pytest.mark.parametrize(
    ("given_", "wanted", "same"),
    [
        ("1 2\n3", "1\n2  3\n", True), ("YES", "yes", False), ("1", "1.0000000001", True),
        ("1.5", "1.50000001", True), ("1.5", "1.51", False), ("", "", True), ("1 2", "1", False),
        ("123456789012", "123456789013", False), ("nan", "nan", True), ("nan", "1.0", False),
        ("inf", "1e999", False), ("1_0", "10.0", False), ("1e3", "1000", True),
        ("0.0", "-0.0", True),
        ("٣", "3.0", False), ("0x10", "16.0", False),
    ],
)  # fmt: skip
def test_outputs_are_compared_by_tokens(given_: str, wanted: str, same: bool) -> None:
    assert same_output(given_, wanted) is same


@given(st.text(max_size=60), st.text(max_size=60))
def test_comparing_outputs_never_fails_and_knows_equal_ones(a: str, b: str) -> None:
    assert same_output(a, a)
    assert same_output(a, b) == same_output(b, a)
    if same_output(a, b, tolerance=0):
        assert a.split() == b.split()


@pytest.mark.parametrize(
    "source",
    [
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except OSError: pass\nwhile True: pass",
        "import re\nre.match(r'(a|a)*b', 'a' * 60)",
        "import threading\nfor _ in range(4): threading.Thread(target=lambda: exec('while 1: 0'))"
        ".start()\nwhile True:\n    try: 1/0\n    except BaseException: pass",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    ],
    ids=["ignores signals", "loop in C", "threads", "stops itself"],
)
def test_runaway_code_ends_in_time(source: str, warm: Warm) -> None:
    async def work(sandbox: Sandbox) -> list[float]:
        await sandbox.run_program("pass")  # the worker is up
        took = []
        for _ in range(3):
            start = time.perf_counter()
            ran = await sandbox.run_program(source, limits=Limits(seconds=0.3, cpu_seconds=60))
            took.append(time.perf_counter() - start)
            assert ran.outcome == "timeout"
            if took[-1] < 0.3 + 0.5:
                break  # once is enough: a busy machine may be late
        return took

    assert min(warm.inside(work)) < 0.3 + 0.5
