"""The language model as claims see it: text, ids, embeddings, mixtures, logits, generation."""
