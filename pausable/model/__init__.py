"""Pure rules: states and their moves, the graph of steps, times, the picture; no Flask, Celery or SQL."""
