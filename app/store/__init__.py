"""Every SQL statement of the service, each behind a named function; nothing else imports SQLAlchemy."""
