"""What the privacy centre and the support centre share: their guards, headers, style, frame and start."""
