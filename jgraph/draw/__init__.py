"""Tables and pictures from plain rows."""
