"""Each integration against the real framework."""
