"""The claim report as one HTML file."""
