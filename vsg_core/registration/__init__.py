"""Registered claims: freezes are made, compared with the tree, and their ledgers verified."""
