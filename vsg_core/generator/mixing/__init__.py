"""From next-token logits to the weights of a mixture, and what is measured of distributions."""
