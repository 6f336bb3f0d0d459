"""An architecture as one node of a LangGraph application.

python examples/langgraph_app.py
"""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

import archon


class Chat(TypedDict, total=False):
    """What the application keeps: a question comes in, an answer goes out."""

    question: str
    answer: str
    usage: dict[str, Any]
    reply: str


def word(state: Chat) -> Chat:
    """Put the answer into words; any node of the application's own."""
    last = state["answer"].splitlines()[-1].removeprefix("####").strip()
    return {"reply": f"That makes {last}, after {state['usage']['calls']} calls."}


def application() -> Any:
    """Return the application's graph: the architecture, then a node of its own."""
    arch = archon.load("local/generate-verify")
    graph = StateGraph(Chat)
    graph.add_node("solve", arch.compile())
    graph.add_node("word", word)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", "word")
    graph.add_edge("word", END)
    return graph.compile()


def main() -> None:
    """Ask one question."""
    question = (
        "Ben has 30 cards. He finds 12 cards. Then he gives 5 cards to each of 4 friends. "
        "How many cards does Ben have now? Give the answer after ####."
    )
    chat = asyncio.run(application().ainvoke({"question": question}))
    print(chat["reply"])


if __name__ == "__main__":
    main()
