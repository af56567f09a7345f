"""HTTP: Triton's REST API over kept-alive connections of our own."""
