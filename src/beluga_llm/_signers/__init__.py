"""Credentials that are more than a header from a key."""
