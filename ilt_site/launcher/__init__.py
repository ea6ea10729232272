"""The launcher: PostgreSQL, Valkey and the site from one command, for demos, development and tests.

Must never happen: a second launcher on the same folder, a server that outlives its launcher or listens beyond
127.0.0.1, a folder above ours opened to others, a password or a key on a command line. Mistakes are undone by
`./run reset`, which removes what the launcher made and nothing else.
"""


class Problem(Exception):
    """What a person at the terminal must know, in one sentence; printed without a traceback."""
