"""What each method of the clients does: inferences, `map`, streams, sequences, generate, administration."""
