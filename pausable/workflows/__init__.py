"""What authors write workflows with: steps, flows, and the registry that finds workflows in modules."""
