"""Made-up customers and a made-up audience."""
