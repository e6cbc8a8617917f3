"""The second program: connections that stay open, on starlette and uvicorn."""
