"""What is asked for weights."""

from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.quantization.corrections.clipping import DEFAULT, clip_of
from polyyolo.records import Request

ROUNDING, BIAS, NONE = "rounding", "bias", "none"


@frozen
class Treatment:
    """How weights become INT8.

    Attributes:
        clip: a method of ``clipping.clip_of``.
        corrections: any of "rounding" and "bias"; "none" adds nothing.
    """

    clip: str = DEFAULT
    corrections: tuple[str, ...] = (NONE,)

    @property
    def rounds(self) -> bool:
        """Whether rounding makes up for its errors."""
        return ROUNDING in self.corrections

    @property
    def shifts(self) -> bool:
        """Whether the mean error of the output goes into the bias."""
        return BIAS in self.corrections

    @property
    def needs_pictures(self) -> bool:
        """Whether it depends on what the convolutions read."""
        return self.rounds or self.shifts

    @property
    def told(self) -> tuple[str, ...]:
        """Everything but the usual, in words and in the order of the work."""
        clip = () if self.clip == DEFAULT else (f"weights by {self.clip}",)
        return (*clip, *(f"{each} corrected" for each in (ROUNDING, BIAS) if each in self.corrections))

    def check(self) -> None:
        """Refuse what there is not.

        Raises:
            InputError: as above.
        """
        clip_of(self.clip)
        for each in self.corrections:
            if each not in {ROUNDING, BIAS, NONE}:
                raise InputError(f"there is no correction {each!r}", fix=f"use {ROUNDING}, {BIAS} or {NONE}")


def treatment_of(request: Request) -> Treatment:
    """Tell what a request asks for weights."""
    return Treatment(request.weights, request.correct)
