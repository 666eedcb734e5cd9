"""What a client knows of its users, and until when: pure rules, with no I/O. Times are arguments."""
