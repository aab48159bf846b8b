"""Foreign text shown literally, and the template environment."""
