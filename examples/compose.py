"""Compose an architecture in Python: look at it, know its cost, run it.

python examples/compose.py
"""

from __future__ import annotations

import archon
from archon.layers import Generate, Verify, Vote

QUESTION = (
    "Tom has 48 apples. He buys 3 bags of 8 apples. Then he gives 17 apples to Mia. "
    "How many apples does Tom have now? Give the answer after ####."
)


def main() -> None:
    """Ask `local/nano-math` sixteen times, let it check its workings, and count votes."""
    nano = archon.Model("local/nano-math", temperature=0.8, max_tokens=192)
    arch = Generate(model=nano, samples=16) >> Verify(model=nano, keep="all") >> Vote()

    bound = arch.bound()
    print(f"{arch}: at most {bound.calls} calls")

    result = archon.run(arch, QUESTION, answer="number", budget="calls=100")
    print(f"answer: {result.value}; {result.used.calls} calls, {result.paid.calls} of them new")
    for record in result.trace:
        print(f"  {record.path:<10} {record.used.calls:>3} calls  {record.seconds:.2f} s")


if __name__ == "__main__":
    main()
