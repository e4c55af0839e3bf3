"""How bad input is refused."""


def require(condition: object, otherwise: str) -> None:
    """Raise a ValueError unless the condition holds; `otherwise` says the value, what is allowed, the fix."""
    if not bool(condition):
        raise ValueError(otherwise)
