"""AssemblyAI's routes: its options, uploads and answers."""
