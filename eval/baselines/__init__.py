"""What policies are compared with."""
