"""How things are said, wherever they are said."""


def counted(count: int, one: str, many: str = "") -> str:
    """Name a number of things: "1 picture", "2 pictures", "2 boxes"; ``many`` where it is not ``one`` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
