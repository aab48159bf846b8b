"""What a report shows, computed from records: claims, cells, arms, axes, curves."""
