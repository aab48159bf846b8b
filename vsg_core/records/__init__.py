"""Records of measurements on disk, typed, and the verdicts that were accepted before."""
