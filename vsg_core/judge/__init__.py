"""From trials to a verdict: the rules a claim may be judged by, their intervals, and the search for counterexamples."""
