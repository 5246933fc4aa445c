"""Take an Image apart and put it together wrongly, for tests of the verifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spikeport.compiler.errors import FitError
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import CoreUse, Image
from spikeport.compiler.place.verify.verify import verify


def named(image: Image) -> str:
    """Return all that the verifier says about an image; it must say something."""
    with pytest.raises(FitError) as caught:
        verify(image)
    return "; ".join(caught.value.violations)


def with_slice(image: Image, number: int, **changed: Any) -> Image:
    """Return the image with one slice changed."""
    parts = list(image.slices)
    parts[number] = replace(parts[number], **changed)
    return replace(image, slices=tuple(parts))


def with_route(image: Image, number: int, **changed: Any) -> Image:
    """Return the image with one route changed."""
    routes = list(image.routes)
    routes[number] = replace(routes[number], **changed)
    return replace(image, routes=tuple(routes))


def with_use(image: Image, number: int, **changed: Any) -> Image:
    """Return the image with the account of one core changed."""
    uses = list(image.cores)
    uses[number] = replace(uses[number], **changed)
    return replace(image, cores=tuple(uses))


def with_held(image: Image, number: int, **figures: tuple[int, int | None]) -> Image:
    """Return the image with (figure, limit) of some resources of a core changed."""
    return with_use(image, number, held={**image.cores[number].held, **figures})


def with_limits(image: Image, **limits: int) -> Image:
    """Return the image on cores that have less, and whose mapper thinks that it is enough."""
    figures = {
        name: Figure(value=limit, unit="-", source="a test", basis="estimate")
        for name, limit in limits.items()
    }
    core = image.chip.core.model_copy(update=figures)

    def told(use: CoreUse) -> CoreUse:
        pairs = {
            name: (min(used, limits[name]), limits[name]) if name in limits else (used, most)
            for name, (used, most) in use.held.items()
        }
        return replace(use, held=pairs)

    chip = image.chip.model_copy(update={"core": core})
    return replace(image, chip=chip, cores=tuple(map(told, image.cores)))


def with_plan(image: Image, **changed: Any) -> Image:
    """Return the image with a field of its plan changed."""
    return replace(image, plan=replace(image.plan, **changed))


def with_plan_core(image: Image, at: int, **changed: Any) -> Image:
    """Return the image with one core of its crossbars changed."""
    cores = list(image.plan.cores)
    cores[at] = replace(cores[at], **changed)
    return with_plan(image, cores=tuple(cores))


def with_entry(image: Image, at: int, name: str, where: Any, value: int) -> Image:
    """Return the image with one number of a column of such a core replaced."""
    column = getattr(image.plan.cores[at], name).copy()
    column[where] = value
    return with_plan_core(image, at, **{name: column})
