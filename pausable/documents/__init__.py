"""workflow.json: its model, its checks, its signature, and fingerprints of code."""
