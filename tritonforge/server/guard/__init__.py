"""Nothing outlives who asked for it: a temporary folder, what is launched from it, and who ends both."""
