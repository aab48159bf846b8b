"""From the name of a model to its weights: where they come from, what is kept of them, and how they are loaded."""
