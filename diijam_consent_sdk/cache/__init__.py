"""What a client keeps in memory of its users, and until when it may use it: pure rules without I/O."""
