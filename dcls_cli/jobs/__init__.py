"""A request for photos, from names to written files, for commands, Python and a cluster.

A `Request` says what is wanted, `plan` turns it into `Task`s, a `Worker` turns a task into an
`Outcome`, and events report each step. Nothing here prints, and nothing knows the command line.
"""

#: Names of outputs that the user has not named.
DEFAULT_NAME = "{stem}_{size}"

#: Larger photos are refused, as Pillow does.
DEFAULT_MAX_PIXELS = 178_956_970
