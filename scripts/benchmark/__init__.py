"""The six models of `make bench`, written once for each library, and the process that measures one of them."""
