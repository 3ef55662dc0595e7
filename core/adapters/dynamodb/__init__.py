"""The stores of many machines: one DynamoDB table; `table` reaches it, `items` writes it, the others know what it means."""
