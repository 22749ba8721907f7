"""What TensorBoard is shown beside scalars: the graph, pictures, points, hyperparameters."""
