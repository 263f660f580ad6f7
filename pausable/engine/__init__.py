"""How steps run: start, dispatch, claim, run, settle, drain."""
