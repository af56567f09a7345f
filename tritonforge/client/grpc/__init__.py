"""gRPC: small unary calls in frames of our own, the rest over grpcio."""
