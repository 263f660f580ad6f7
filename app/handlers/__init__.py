"""State handlers: user code that is told of a change of state and says which state is kept."""
