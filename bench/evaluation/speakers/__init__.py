"""`make eval-speakers`: error rates, words with the right speaker, thresholds, cost."""
