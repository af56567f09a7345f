"""What a running server is asked: health, load and unload, statistics, status."""
