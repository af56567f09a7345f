"""`up --watch`: which sources were saved, and builds in a process that can be ended."""
