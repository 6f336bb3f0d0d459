"""What archon costs beside the calls themselves: `python -m archon.benchmarks.perf --help`.

Nothing else imports this package. Each client runs in a process of its own on one core, the
scripted provider on another, and every figure stands beside that of bare aiohttp, measured in
turn with it. `README.md` here says what each benchmark measures, `docs/performance.md` what came
out.
"""
