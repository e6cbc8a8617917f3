"""Parts of waitress that we replace, to refuse before a body is read and to put requests aside."""
