"""Layers that ask models: templates, their cost, and policies for what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from archon import backends, prompts
from archon.base.bounds import Bound, plus, times
from archon.base.node import Layer
from archon.errors import did_you_mean
from archon.model import Model
from archon.plain import canonical

__all__ = ["ModelLayer"]


class ModelLayer(Layer):
    """A layer that asks models: it has templates, and policies for what goes wrong.

    Class attributes:
        templates: for each step, the Jinja source for each profile of models; every step has at
            least `default`.
    """

    templates: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    prompt: dict[str, str] = Field(
        default_factory=dict, description="Jinja templates by step, in place of the built-in ones"
    )
    on_error: Literal["drop", "fail"] = Field(
        "drop", description="a call that failed for good: go on without it, or fail the node"
    )
    at_least: int = Field(1, ge=0, description="with drop: how many must succeed all the same")
    reasks: int = Field(
        2, ge=0, le=10, description="how often to ask again when a reply does not parse"
    )

    @field_validator("prompt", mode="before")
    @classmethod
    def _one_step(cls, value: object) -> object:
        if isinstance(value, str):
            if len(cls.templates) != 1:
                steps = ", ".join(cls.templates) or "none"
                raise ValueError(f"give a template for each step by name; steps: {steps}")
            return {next(iter(cls.templates)): value}
        return value

    @field_validator("prompt")
    @classmethod
    def _known_steps(cls, value: dict[str, str]) -> dict[str, str]:
        for step, source in value.items():
            if step not in cls.templates:
                raise ValueError(f"unknown step {step!r}{did_you_mean(step, cls.templates)}")
            prompts.check(source)
        return value

    def signature(self) -> str:
        """Return models and templates: nodes that render the same requests are one family."""
        models = list(self.models())
        steps = [[self.template(step, m) for step in self.templates] for m in models]
        return canonical([[model.signature for model in models], steps])

    def template(self, step: str, model: Model) -> str:
        """Return the template source of a step for a model's profile."""
        if step in self.prompt:
            return self.prompt[step]
        profiles = self.templates[step]
        return profiles.get(model.template_profile, profiles["default"])

    def shows(self, step: str, model: Model, field: str) -> bool:
        """Return whether the template of a step names a field."""
        return field in self.template(step, model)

    def render(self, step: str, model: Model, **fields: object) -> str:
        """Fill the template of a step; `fields` enter as values, never as template source."""
        return prompts.render(self.template(step, model), **fields)

    def cost(
        self,
        model: Model,
        calls: int,
        input_tokens: int | None,
        *,
        step: str = "",
        parsed: bool = False,
    ) -> Bound:
        """Return the bound of `calls` draws of one step; its shape is to be filled in.

        Args:
            model: who is asked.
            calls: draws, if every reply parses.
            input_tokens: of what the template is filled with, for one call.
            step: the template, whose own size is added.
            parsed: whether a reply that does not parse is asked again.
        """
        reasks = calls * self.reasks if parsed else 0
        template = len(self.template(step, model).encode()) if step else 0
        each = plus(input_tokens, template, 64)
        total = calls + reasks
        price = backends.price_of(model)
        microusd = None if price is None else price.microusd(each, model.max_tokens)
        flops = None if price is None else price.operations(each, model.max_tokens)
        return Bound(
            calls,
            reasks,
            times(total, each),
            times(total, model.max_tokens),
            times(total, microusd),
            times(total, flops),
        )
