"""Workflows to learn from: each module can be served as it is, as `WORKFLOWS=examples.state_handlers make run`."""
