"""Each single request, in files."""
