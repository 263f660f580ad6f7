"""Stores for results outside the database, and serializers from results to file contents."""
