"""The gateway's other program: connections that stay open, on starlette and uvicorn."""
