"""Mistakes are collected and told together: who corrects a profile wants to correct it once."""

from attrs import field, frozen

from polyyolo.errors import ProfileError


@frozen
class Mistake:
    """One thing that is wrong, and what to do about it."""

    message: str
    fix: str


@frozen
class Mistakes:
    """All mistakes found in one profile, in the order of the file."""

    profile: str
    found: list[Mistake] = field(factory=list)

    def add(self, message: str, fix: str) -> None:
        """Note one more."""
        self.found.append(Mistake(message, fix))

    def refuse(self) -> None:
        """Raise what was found; nothing found is nothing raised.

        Raises:
            ProfileError: one line a mistake, one line a fix, doubled fixes once.
        """
        if not self.found:
            return
        count = "" if len(self.found) == 1 else f"{len(self.found)} mistakes in "
        lines = [mistake.message for mistake in self.found]
        told = lines[0] if len(lines) == 1 else "".join(f"\n  - {line}" for line in lines)
        raise ProfileError(
            f"{count}profile {self.profile}: {told}",
            fix="; ".join(dict.fromkeys(mistake.fix for mistake in self.found)),
        )
