"""From next-token logits to the weights of a mixture, and measures of distributions."""

# Loaded with the room, so that `from vsg_core import presets` finds it.
from vsg_core.generator.mixing import presets as presets
