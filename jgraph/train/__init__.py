"""Training: the objective, the step and its compiled programs, the loop around them, and what they remember."""
