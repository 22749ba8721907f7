"""What is compared with Keras: a file for each family of layers, whose `cases()` are the product of its options."""
