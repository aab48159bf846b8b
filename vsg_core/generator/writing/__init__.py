"""The decoding loop and its writers: each turns logits into the next position, a token or a vector."""
