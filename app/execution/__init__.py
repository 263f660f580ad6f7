"""Where Celery lives: the pause points, the compiler from canvas to graph, and the running of steps."""
