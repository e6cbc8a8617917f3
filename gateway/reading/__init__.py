"""What a caller sent: forms, bodies, fields, uploads in parts, and whether it is audio."""
