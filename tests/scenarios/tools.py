"""Tools that the scenarios offer to the agent."""


def book_appointment(people: int = 2) -> str:
    """Book an appointment for the given number of people."""
    return f"booked for {people}"
