"""Every SQL statement, each behind a named function."""
