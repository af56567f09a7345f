"""What is known of the server beside its answers: statistics, processes, GPUs, versions."""
