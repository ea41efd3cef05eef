"""Tools: reads the user's tools file, describes and runs its functions, and tracks the agent's calls of them."""
