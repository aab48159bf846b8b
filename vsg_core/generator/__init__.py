"""Text, ids and vectors in; next tokens and concept tokens out. Layers: engine, mixing, writing, model, reading.

Only `engine` imports torch when it is loaded; the other rooms use `vsg_core.lazy`, so that a claim file can import
their names at its top and still be collected at once.
"""
