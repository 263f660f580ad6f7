"""The steps by which a database comes to the present schema, oldest first; `python -m migrations` writes the next one.

They lead forward only: the way back is a copy of the database.
"""
