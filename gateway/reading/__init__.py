"""What callers send: forms, bodies, fields, uploads in parts; and whether a file is audio."""
