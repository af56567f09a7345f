"""What is counted, and the figures made of it."""
