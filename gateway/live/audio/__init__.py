"""Audio of live callers, in whatever form, as 16-bit mono samples at 16 kHz."""
