"""Conversations that are kept: in memory, in a file, or wherever a store keeps them."""
