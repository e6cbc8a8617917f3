"""
Speech becomes text: the lanes of a recording, chunk after chunk.

The rules here were chosen on half 0 of the clips of `make eval`. Measured on half 1 with `base`
(bench/results/2026-11-30-2212-eval.md): 4.2 % wrong words and 41 words lost, where faster-whisper
has 4.8 % and 103, in 0.79 of its CPU time.
"""
