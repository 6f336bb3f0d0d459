"""Candidates that do not solve anything and try to be taken for right all the same."""

from __future__ import annotations

EQUAL = """
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __bool__(self): return True
    def __hash__(self): return 0
    def __len__(self): return 1
    def __iter__(self): return iter(())
    def __getitem__(self, key): return self
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __abs__ = __float__ = __sub__
    def __reduce__(self): return (print, ("EFFECT",))
"""

SUBCLASS = """
class Sub({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __repr__(self): return "1"
def NAME(*args, **kwargs): return Sub({value})
"""

FRAMES = """
import os, struct
def frame(kind, name, body): return struct.pack('>Ic16s', len(body), kind, name) + body
def text(s): return b's' + struct.pack('>I', len(s)) + s
def data(s): return b'b' + struct.pack('>I', len(s)) + s
def passed(test): return b't' + struct.pack('>I', 3) + data(test) + text(b'pass') + text(b'')
"""

WALK = """
import sys
def walk():
    found, frame = [], sys._getframe()
    while frame:
        found += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    return found
"""

FORGERS: dict[str, str] = {
    "equal to everything": EQUAL + "def NAME(*args, **kwargs): return Equal()",
    "leaves with code 0": "import os\ndef NAME(*args, **kwargs): os._exit(0)",
    "raw verdict on every descriptor": FRAMES
    + """
def NAME(*args, **kwargs):
    for file in range(0, 16):
        try: os.write(file, frame(b't', bytes(16), passed(bytes(16))))
        except OSError: pass
    return None
""",
    "walks the frames for the channel": WALK
    + FRAMES
    + """
def NAME(*args, **kwargs):
    for names in walk():
        for value in list(names.values()):
            if hasattr(value, 'send') and hasattr(value, 'receive'):
                value.send(b't', names.get('name', bytes(16)), passed(names.get('name', bytes(16))))
    return None
""",
    "subclass of int": SUBCLASS.format(base="int", value="987654321"),
    "replaces the encoder": """
import sys
def NAME(*args, **kwargs):
    codec = sys.modules['archon.sandbox.inside.codec']
    codec.encode = lambda value: b'X' * 10
    return None
""",
    "raises an assertion that says pass": """
def NAME(*args, **kwargs): raise AssertionError('pass')
""",
    "changes its arguments into anything": EQUAL
    + """
def NAME(*args, **kwargs):
    for arg in args:
        if isinstance(arg, list): arg[:] = [Equal()] * len(arg)
        if isinstance(arg, dict): arg.clear()
    return args[0] if args else None
""",
    # all of the above by default, what follows in the slow suite
    "subclass of float": SUBCLASS.format(base="float", value="987654321.5"),
    "subclass of str": SUBCLASS.format(base="str", value="'987654321'"),
    "subclass of list": SUBCLASS.format(base="list", value="[987654321, 4, 5]"),
    "subclass of tuple": SUBCLASS.format(base="tuple", value="(987654321, 4)"),
    "subclass of dict": SUBCLASS.format(base="dict", value="{987654321: 4}"),
    "subclass of set": SUBCLASS.format(base="set", value="{987654321, 4}"),
    "subclass of bytes": SUBCLASS.format(base="bytes", value="b'987654321'"),
    "a mock": "from unittest.mock import MagicMock\ndef NAME(*args, **kwargs): return MagicMock()",
    "equal by a mock": "from unittest.mock import ANY\ndef NAME(*args, **kwargs): return ANY",
    "a class that is equal": """
class Meta(type):
    def __eq__(self, other): return True
    def __hash__(self): return 0
class C(metaclass=Meta): pass
def NAME(*args, **kwargs): return C
""",
    "lies about its class": EQUAL
    + """
class Liar(Equal):
    __class__ = property(lambda self: int)
def NAME(*args, **kwargs): return Liar()
""",
    "not a number": "def NAME(*args, **kwargs): return float('nan')",
    "returns nothing": "def NAME(*args, **kwargs): return None",
    "exits with code 0": "import sys\ndef NAME(*args, **kwargs): sys.exit(0)",
    "leaves while loading": "import os\nos._exit(0)",
    "exits while loading": "import sys\nsys.exit(0)",
    "raises whatever": "def NAME(*args, **kwargs): raise Exception()",
    "raises an exit": "def NAME(*args, **kwargs): raise SystemExit(0)",
    "raises an interrupt": "def NAME(*args, **kwargs): raise KeyboardInterrupt",
    "prints a verdict": """
import sys
def NAME(*args, **kwargs):
    for stream in (sys.stdout, sys.stderr):
        print('passed', 'OK', '{"outcome": "pass"}', file=stream, flush=True)
""",
    "verdicts while loading": FRAMES
    + """
for kind in (b'L', b't', b'r'):
    os.write(3, frame(kind, bytes(16), passed(bytes(16))))
def NAME(*args, **kwargs): return None
""",
    "answers in advance": FRAMES
    + """
def NAME(*args, **kwargs):
    for _ in range(50): os.write(3, frame(b'r', bytes(16), b't' + struct.pack('>I', 2) + b'T'))
    return True
""",
    "answers twice": WALK
    + FRAMES
    + """
def NAME(*args, **kwargs):
    for names in walk():
        if isinstance(names.get('name'), bytes):
            for _ in range(3): os.write(3, frame(b'x', names['name'], b'N'))
    return None
""",
    "answers with anything but a value": WALK
    + FRAMES
    + """
def NAME(*args, **kwargs):
    for names in walk():
        if isinstance(names.get('name'), bytes):
            os.write(3, frame(b'r', names['name'], b'T'))
    return None
""",
    "a verdict instead of an answer": WALK
    + FRAMES
    + """
def NAME(*args, **kwargs):
    for names in walk():
        if isinstance(names.get('name'), bytes):
            os.write(3, frame(b't', names['name'], passed(names['name'])))
    return None
""",
    "patches the channel": """
import gc
def NAME(*args, **kwargs):
    for o in gc.get_objects():
        if type(o).__name__ == 'Channel':
            real = o.send
            type(o).send = lambda self, kind, name, body=b'': real(b't', name, body)
    return None
""",
    "looks for the expected values": """
import gc, re
def NAME(*args, **kwargs):
    for o in gc.get_objects():
        if isinstance(o, dict):
            for value in list(o.values()):
                if isinstance(value, str) and 'assert NAME' in value:
                    return eval(value.split('==')[1].strip())
    return None
""",
    "replaces the built-ins": """
import builtins
builtins.AssertionError = type('Never', (Exception,), {})
builtins.all = builtins.any = lambda *a: True
builtins.abs = lambda *a: 0
builtins.isinstance = lambda *a: True
def NAME(*args, **kwargs): return None
""",
    "replaces the comparisons": """
import math, operator
math.fabs = lambda x: 0.0
math.isclose = operator.eq = operator.ne = lambda *a, **k: True
def NAME(*args, **kwargs): return None
""",
    "traces": """
import sys
def trace(frame, event, arg):
    for name in list(frame.f_locals):
        if name in ('outcome', 'kind'): frame.f_locals[name] = b't'
    return trace
sys.settrace(trace)
def NAME(*args, **kwargs): return None
""",
    "hooks the end": """
import atexit, sys, os
atexit.register(lambda: os._exit(0))
sys.excepthook = lambda *a: os._exit(0)
class D:
    def __del__(self): os._exit(0)
d = D()
def NAME(*args, **kwargs): raise RuntimeError
""",
    "a thread that goes on": FRAMES
    + """
import threading, time
def later():
    while True:
        try: os.write(3, frame(b't', bytes(16), passed(bytes(16))))
        except OSError: return
        time.sleep(0.0005)
threading.Thread(target=later, daemon=True).start()
def NAME(*args, **kwargs): time.sleep(0.002); return None
""",
    "a frame of 4 GB": FRAMES
    + """
def NAME(*args, **kwargs): os.write(3, struct.pack('>Ic16s', 0xFFFFFFFF, b'r', bytes(16)) * 9)
""",
    "a value of 100,000 levels": """
def NAME(*args, **kwargs):
    value = []
    for _ in range(100_000): value = [value]
    return value
""",
    "100,000 levels on the wire": WALK
    + FRAMES
    + """
def NAME(*args, **kwargs):
    for names in walk():
        if isinstance(names.get('name'), bytes):
            os.write(3, frame(b'r', names['name'], b'l\\0\\0\\0\\1' * 100_000 + b'N'))
    return None
""",
    "a lone surrogate": "def NAME(*args, **kwargs): return '\\ud800'",
    "a generator": "def NAME(*args, **kwargs):\n    yield from ()",
    "a function": EQUAL + "def NAME(*args, **kwargs): return Equal",
    "closes the channel": "import os\ndef NAME(*args, **kwargs): os.close(3)",
    "dies by a signal": "import os\ndef NAME(*args, **kwargs): os.kill(os.getpid(), 6)",
    "empty": "",
    "not a program": "this is ( not Python",
}
"""Sources by name; NAME stands for the function that is asked for."""

BY_DEFAULT = tuple(FORGERS)[:8]
