"""What the documents of the library share: their texts, tables, style and frame, and how they are written as JSON."""
