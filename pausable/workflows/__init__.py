"""How authors write workflows: steps, flows, the cursor, and the registry that finds them."""
