"""Values: small classes whose objects never change, with options that are checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from nnkit.given.keywords import explained

Made = TypeVar("Made")


@dataclass_transform(frozen_default=True)
def frozen(cls: type[Made]) -> type[Made]:
    """Make a frozen dataclass, whose keywords are explained as those of layers are."""
    made: Any = dataclass(frozen=True)(cls)
    made.__init__ = explained(made.__init__)
    return cls
