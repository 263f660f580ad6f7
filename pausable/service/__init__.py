"""What a person may ask of the service: one function for each act."""
