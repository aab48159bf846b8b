"""Text, ids and vectors in; next tokens and concept tokens out. Layers: engine, mixing, writing, model, reading."""
