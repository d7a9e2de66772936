"""What layers, losses and optimizers share: options, which are attributes, and files keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nnkit.given.keywords import explained
from nnkit.given.missing import attribute


class Configured:
    """A thing whose constructor's arguments, or some of them, are attributes of the same names."""

    options: ClassVar[tuple[str, ...]] = ()
    """Names of the constructor's arguments that a file keeps."""

    capturable: ClassVar[bool] = False
    """Whether it does nothing but call operations of the backend, so that a training step with it
    can be captured and replayed. Not inherited: a class says so itself."""

    def __init_subclass__(cls) -> None:
        if "capturable" not in cls.__dict__:
            cls.capturable = False
        if "__init__" in cls.__dict__:
            cls.__init__ = explained(cls.__init__)  # type: ignore[method-assign]
        elif cls.__init__ is Configured.__init__:
            behind = super().__init__
            if behind is not object.__init__:  # that of another base, which this one would hide
                cls.__init__ = behind  # type: ignore[method-assign]

    @explained
    def __init__(self) -> None:
        """Take no arguments, unless a subclass does."""
        super().__init__()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what does here what an attribute that is not there does elsewhere."""
            return attribute(self, name)

    def config(self) -> dict[str, Any]:
        """Class name and constructor arguments, as JSON can hold them."""
        arguments = {name: _encoded(getattr(self, name)) for name in self.options}
        return {"class": type(self).__name__, **arguments}

    @classmethod
    def from_config(cls, arguments: dict[str, Any]) -> Self:
        """Make one of the arguments that `config` gave."""
        return cls(**arguments)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)
        return f"{type(self).__name__}({arguments})"


def _encoded(argument: Any) -> Any:
    """Return an argument with what is configured in it, if anything is, as configurations."""
    if isinstance(argument, Configured):
        return argument.config()
    if isinstance(argument, list | tuple):
        return [_encoded(each) for each in argument]
    return argument


def from_config(config: Any, classes: Mapping[str, Any], hint: str = "") -> Any:
    """Make what a configuration describes, and what is configured inside.

    Raises ValueError, with the hint, for a class that is not among `classes`, and what constructors
    raise.
    """
    if isinstance(config, list):
        return [from_config(each, classes, hint) for each in config]
    if not (isinstance(config, dict) and "class" in config):
        return config
    if not isinstance(config["class"], str):
        raise ValueError(f"a class has a name, not {config['class']!r}")
    arguments = {name: from_config(value, classes, hint) for name, value in config.items()}
    name = arguments.pop("class")
    if name not in classes:
        raise ValueError(f"unknown class {name!r}{hint}")
    return classes[name].from_config(arguments)
