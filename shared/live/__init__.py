"""
Live sessions, as gateway.live and workers both know them.

Audio goes into a stream in Redis for each session. A worker claims the session, reads the audio,
and writes updates into the stream of the gateway.live that serves the caller.
"""
