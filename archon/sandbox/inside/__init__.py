"""What runs inside a sandbox: standard library only, handed in as compiled code.

Nothing here may import from the rest of archon: these modules are sent to a fresh interpreter that
sees neither archon nor site-packages.
"""
