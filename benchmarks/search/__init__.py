"""How well architectures are found: `python -m archon.benchmarks.search --help`.

Nothing else imports this package. `space` and `tasks` are a ground whose best architecture is
known, `rivals` other ways to search, `itas` measures them beside `archon.search.race`;
`docs/search-method.md` says what came out.
"""
