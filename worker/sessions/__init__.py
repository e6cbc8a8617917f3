"""The live sessions that this worker has claimed: the parent moves their bytes."""
