"""What `make run` runs: checks what is needed, then keeps the broker, the worker and the web server alive together."""
