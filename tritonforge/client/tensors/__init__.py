"""From arrays to tensors' bytes and back: casts, checks, encoding."""
