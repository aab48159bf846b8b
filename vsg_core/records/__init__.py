"""What a measurement leaves on disk, typed, and the verdicts that were accepted before."""
