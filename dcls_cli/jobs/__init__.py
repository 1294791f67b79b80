"""A request for photos, from names to written files, for commands, Python and a cluster.

A `Request` says what is wanted, `plan` turns it into `Task`s, a `Worker` turns a task into an
`Outcome`, and events report each step. Nothing here prints, and nothing knows the command line.
"""
