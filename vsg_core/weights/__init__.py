"""Get the weights of a model by its name: find, fetch, verify, convert and load them."""
