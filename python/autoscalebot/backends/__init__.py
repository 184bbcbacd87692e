"""What a project may replace with Python of its own."""
