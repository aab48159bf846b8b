"""The content of a report, computed from records: claims, cells, arms, axes, curves."""
