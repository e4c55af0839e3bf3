"""How bad input is refused."""


def require(condition: object, otherwise: str) -> None:
    """Raise a ValueError that says `otherwise` (the value, what is allowed, the fix) unless the condition holds."""
    if not bool(condition):
        raise ValueError(otherwise)
