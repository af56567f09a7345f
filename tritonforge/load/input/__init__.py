"""What is sent: data from files or the model's signature, as the bytes of requests, and the answers expected."""
