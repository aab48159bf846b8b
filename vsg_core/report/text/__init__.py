"""Records as text: the terminal, Markdown, CSV, and the recorded verdicts as tables."""
