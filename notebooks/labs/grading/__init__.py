"""Hand out labs and grade them (`make labs`, `make grade`, `make mark`)."""
