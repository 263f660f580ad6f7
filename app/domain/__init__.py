"""Pure rules: states and their tables, the graph of steps, the document; no Flask, Celery or SQL here."""
