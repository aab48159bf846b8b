"""Readers: vectors turned back into tokens and text."""
