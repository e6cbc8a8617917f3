"""`make eval` of who speaks: error rates, words with the right speaker, thresholds, cost."""
