"""What both protocols' connections share: pools, lines, sockets and addresses."""
