"""The decoding loop and its writers, each of which turns logits into the next position: a token or a vector."""
