"""What is installed here: the embedded server's files, its backends, and the Python that stubs run."""
