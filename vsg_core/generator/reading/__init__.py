"""Readers turn vectors back into tokens and text."""
