"""What a customer sees of a workspace: the portal's settings and its colours."""
