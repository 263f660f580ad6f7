"""What `make run` runs: startup checks, then the broker, the worker and the web server under supervision."""
