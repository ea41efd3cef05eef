"""Tools: reads the user's file, describes and runs its functions, and tracks the agent's calls to them."""
