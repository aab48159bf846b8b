"""Requests and answers of OpenAI's API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vsg_core.hosted.server import Faulty, Server

COMPLETIONS, CHAT = "/completions", "/chat/completions"
# What an answer begins with where its reasoning is not apart from it.
REASONING = "<think>"


def completion_body(model: str, prompt: str, max_tokens: int, plain: Mapping[str, Any]) -> dict[str, Any]:
    """A greedy completion."""
    return {"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "seed": 0, **plain}


def chat_body(model: str, question: str, max_tokens: int, plain: Mapping[str, Any]) -> dict[str, Any]:
    """A greedy answer to a question."""
    messages = [{"role": "user", "content": question}]
    return {
        "model": model,
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": 0,
        "seed": 0,
        **plain,
    }


def choice_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The only choice of an answer.

    Raises:
        VsgError: it has none.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Faulty("the server answers without a choice: its API is not OpenAI's; update it or use another")
    return choices[0]


def text_of(answer: Mapping[str, Any]) -> str:
    """The text of a completion or of a chat answer; empty where the model said nothing.

    Raises:
        VsgError: there is no place for one.
    """
    choice = choice_of(answer)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if text is None and not isinstance(message, dict):
        raise Faulty(
            "the server answers a choice without a text: its API is not OpenAI's; update it or use another"
        )
    return str(text or "")


def reasoning_in(server: Server, answer: Mapping[str, Any]) -> str:
    """Why a chat answer cannot be used: it reasons before it answers. Empty where it does not."""
    choice = choice_of(answer)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    # Servers that cut reasoning out of the content have one of two names for it.
    apart = any(str(message.get(name) or "").strip() for name in ("reasoning_content", "reasoning"))
    # Others name it nowhere: all that is seen of it is that its tokens are used up.
    unseen = message.get("content") is None and choice.get("finish_reason") == "length"
    if not apart and not unseen and not text_of(answer).lstrip().startswith(REASONING):
        return ""
    return (
        f"the model at {server.address.url} reasons before it answers: start the server with reasoning turned off, "
        "if it can"
    )


def listed_in(answer: Mapping[str, Any]) -> dict[str, float] | None:
    """The probabilities of the first token's alternatives, by their texts; None where the answer has none.

    Empty where the model ended at once.

    Raises:
        VsgError: they are not log-probabilities.
    """
    choice = choice_of(answer)
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return None
    top = logprobs.get("top_logprobs")
    if not isinstance(top, list):
        return None
    if not top:
        return {}
    try:
        if isinstance(top[0], dict):
            found = {str(token): float(value) for token, value in top[0].items()}
        else:
            return None
    except (TypeError, ValueError):
        raise Faulty(
            "the server lists log-probabilities that are not numbers: update it or use another"
        ) from None
    if any(math.isnan(value) or value > 1e-3 for value in found.values()):
        raise Faulty("the server lists log-probabilities above 0 or NaN: update it or use another")
    return {token: math.exp(value) for token, value in found.items()}
