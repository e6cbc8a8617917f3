"""What we replace of waitress: refusing before a body is read, and putting requests aside."""
