"""The model: symbols and layers, the flat graph that a drawing becomes, and how it is run, cut and copied."""
