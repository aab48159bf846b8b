"""A language model as claims use it: text, ids, embeddings, mixtures, logits, generation."""
