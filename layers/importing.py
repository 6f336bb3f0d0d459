"""Objects by `module:name`, for layers that hold code."""

from __future__ import annotations

import importlib
from typing import Any

from archon.errors import ConfigError, did_you_mean

__all__ = ["load", "path_of"]


def load(what: object) -> Any:
    """Return the object that `module:name` names, or the object itself.

    Raises:
        ConfigError: when it cannot be imported, or cannot be called.
    """
    target = _imported(what) if isinstance(what, str) else what
    if not callable(target) and not hasattr(target, "ainvoke") and not hasattr(target, "invoke"):
        raise ConfigError(f"{what!r} is neither a function nor something with `invoke`")
    return target


def _imported(path: str) -> Any:
    module_name, colon, name = path.partition(":")
    if path.startswith("<"):
        raise ConfigError(f"{path} was an object without an import path; name it 'module:name'")
    if not colon or not module_name or not name:
        raise ConfigError(f"code is named 'module:name', got {path!r}")
    try:
        target: Any = importlib.import_module(module_name)
    except Exception as error:  # a module may raise anything while it is imported
        raise ConfigError(
            f"cannot import {module_name!r} of {path!r}: {type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(target, part):
            public = [known for known in dir(target) if not known.startswith("_")]
            raise ConfigError(f"{module_name!r} has no {name!r}{did_you_mean(part, public[:50])}")
        target = getattr(target, part)
    return target


def path_of(what: object) -> str:
    """Return `module:name` of an object; without one, a name that only this process knows.

    The latter identifies an architecture while it runs, but cannot be loaded again.
    """
    if isinstance(what, str):
        return what
    name = str(getattr(what, "__qualname__", type(what).__qualname__))
    path = f"{getattr(what, '__module__', '')}:{name}"
    try:
        if load(path) is what:
            return path
    except ConfigError:
        pass
    return f"<{name} at {id(what):#x}>"
