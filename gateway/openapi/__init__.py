"""What is documented beside each route, and the OpenAPI document made from it."""
