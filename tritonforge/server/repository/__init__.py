"""The repository as a server reads it: what a folder is, the tree that is served, models renewed in it."""
