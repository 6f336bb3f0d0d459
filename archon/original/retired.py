"""Models of 2023 and 2024 that no longer answer, and living ones of the same provider.

A replacement is the nearest relative by family and size where there is one, else a general model
of the same provider, so that the same key serves. It is not the model that was published: other
answers, other prices. Whoever knows better names others (`archon import --models`).
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["RETIRED", "RETIRED_AS_OF"]

RETIRED_AS_OF = "November 2026"

_TOGETHER: Mapping[str, str] = {
    "Qwen/Qwen1.5-110B-Chat": "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen1.5-72B-Chat": "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen1.5-14B-Chat": "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen1.5-7B-Chat": "Qwen/Qwen2.5-7B-Instruct-Turbo",
    "Qwen/Qwen2-72B-Instruct": "Qwen/Qwen2.5-72B-Instruct",
    "NousResearch/Nous-Hermes-2-Mistral-7B-DPO": "mistralai/Mistral-7B-Instruct-v0.3",
    "NousResearch/Nous-Hermes-2-Yi-34B": "Qwen/Qwen2.5-14B-Instruct",
    "Phind/Phind-CodeLlama-34B-Python-v1": "Qwen/Qwen2.5-14B-Instruct",
    "bigcode/starcoder": "Qwen/Qwen2.5-7B-Instruct-Turbo",
    "codellama/CodeLlama-34b-Python-hf": "Qwen/Qwen2.5-14B-Instruct",
    "codellama/CodeLlama-70b-Instruct-hf": "Qwen/Qwen2.5-72B-Instruct",
    "databricks/dbrx-instruct": "openai/gpt-oss-120b",
    "deepseek-ai/deepseek-coder-33b-instruct": "deepseek-ai/DeepSeek-V3",
    "deepseek-ai/deepseek-llm-67b-chat": "deepseek-ai/DeepSeek-V3",
    "garage-bAInd/Platypus2-70B-instruct": "meta-models/Muse-Glimmer-30B",
    "google/gemma-2-27b-it": "Qwen/Qwen2.5-14B-Instruct",
    "google/gemma-2-9b-it": "Qwen/Qwen2.5-7B-Instruct-Turbo",
    "meta-llama/Llama-2-70b-chat-hf": "meta-models/Muse-Glimmer-30B",
    "meta-llama/Llama-3-70b-chat-hf": "meta-models/Muse-Glimmer-30B",
    "meta-llama/Llama-3-8b-chat-hf": "meta-llama/Llama-3.2-3B-Instruct",
    "meta-llama/Meta-Llama-3-70B-Instruct-Turbo": "meta-models/Muse-Glimmer-30B",
    "meta-llama/Meta-Llama-3-8B-Instruct-Turbo": "meta-llama/Llama-3.2-3B-Instruct",
    "meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo": "meta-llama/Llama-3.1-405B-Instruct",
    "meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo": "meta-models/Muse-Glimmer-30B",
    "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo": "meta-llama/Llama-3.2-3B-Instruct",
    "microsoft/WizardLM-2-8x22B": "moonshotai/Kimi-K2-Instruct",
    "mistralai/Mixtral-8x22B-Instruct-v0.1": "mistralai/Ministral-3-14B-Instruct-2512",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "mistralai/Ministral-3-14B-Instruct-2512",
    "snorkelai/Snorkel-Mistral-PairRM-DPO": "mistralai/Mistral-7B-Instruct-v0.3",
    "togethercomputer/StripedHyena-Nous-7B": "mistralai/Mistral-7B-Instruct-v0.3",
    "upstage/SOLAR-10.7B-Instruct-v1.0": "Qwen/Qwen2.5-14B-Instruct",
    "zero-one-ai/Yi-34B-Chat": "Qwen/Qwen2.5-14B-Instruct",
}

RETIRED: Mapping[str, str] = {
    **{f"together_ai/{old}": f"together_ai/{new}" for old, new in _TOGETHER.items()},
    "anthropic/claude-3-5-sonnet-20240620": "anthropic/claude-sonnet-4-6",
    "anthropic/claude-3-5-sonnet-20241022": "anthropic/claude-sonnet-4-6",
    "anthropic/claude-3-haiku-20240307": "anthropic/claude-haiku-4-5",
    "anthropic/claude-3-opus-20240229": "anthropic/claude-opus-4-6",
    "anthropic/claude-3-sonnet-20240229": "anthropic/claude-sonnet-4-6",
    "gemini/gemini-1.5-flash": "gemini/gemini-2.5-flash",
    "gemini/gemini-1.5-pro": "gemini/gemini-2.5-pro",
    "gemini/gemini-1.5-pro-001": "gemini/gemini-2.5-pro",
    "groq/llama-3.1-70b-versatile": "groq/openai/gpt-oss-120b",
    "openai/gpt-3.5-turbo": "openai/gpt-4o-mini",
    "openai/gpt-3.5-turbo-0125": "openai/gpt-4o-mini",
    "openai/gpt-4": "openai/gpt-4.1",
    "openai/gpt-4-0314": "openai/gpt-4.1",
    "openai/gpt-4-turbo": "openai/gpt-4.1",
    "openai/gpt-4-turbo-2024-04-09": "openai/gpt-4.1",
    "openai/gpt-4o-2024-05-13": "openai/gpt-4o",
    "openai/o1-mini": "openai/o3",
    "openai/o1-mini-2024-09-12": "openai/o3",
    "openai/o1-preview": "openai/o3",
    "openai/o1-preview-2024-09-12": "openai/o3",
}
"""Retired models by their names here, as of `RETIRED_AS_OF`."""
