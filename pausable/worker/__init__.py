"""What a worker process does besides running steps."""
