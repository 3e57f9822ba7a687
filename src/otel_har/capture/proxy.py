"""The base of the taps: a proxy that offers what the object offers that it stands for, and nothing more.

Python looks the methods that its operators and built-ins call (`len`, `in`, `with`, `for`) up in a type, and
`isinstance` asks the type, too, which of them there are. So a tap has a type of its own for each type that it stands
for, with just those methods that are there. That type is called like the other, for messages of errors name it.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

if TYPE_CHECKING:
    from typing_extensions import Self

# What the tap's own type settles, and what Python asks of types alone.
_NOT_FORWARDED = frozenset(
    {
        "__annotate__",
        "__annotate_func__",
        "__class__",
        "__class_getitem__",
        "__del__",
        "__delattr__",
        "__dict__",
        "__doc__",
        "__getattr__",
        "__getattribute__",
        "__init__",
        "__init_subclass__",
        "__module__",
        "__new__",
        "__qualname__",
        "__setattr__",
        "__slots__",
        "__subclasshook__",
        "__weakref__",
    }
)
_OWN = "_self_"
_WRAPPED = "__wrapped__"


class Tap:
    """Stands for one object; names that begin with `_self_`, and `__wrapped__`, belong to the tap itself.

    Attributes:
        __wrapped__: The object.
    """

    __slots__ = (_WRAPPED, "__weakref__")

    _self_special: ClassVar[dict[str, str]] = {}
    """Special methods that a tap has for the object's, where it has them, and the names that they have here."""
    _self_plain: ClassVar[tuple[str, ...]] = ()
    """Attributes that are often asked for, and are the object's own: these Python finds without a call of ours."""
    _self_types: ClassVar[dict[ref[type], type]]
    """The types made so far, by the type that each is for, which takes its own along when it goes."""

    __wrapped__: Any

    def __init_subclass__(cls) -> None:
        if "_self_types" not in cls.__dict__:
            cls._self_types = {}

    def __new__(cls, wrapped: Any, *_: object, **__: object) -> Self:
        """Make a tap of the type that is for the object's."""
        made: Any = cls._self_types.get(ref(type(wrapped)))
        if made is None:
            made = _tap_type(cls, type(wrapped))
            cls._self_types[ref(type(wrapped), cls._self_types.pop)] = made
        tap: Self = object.__new__(made)
        return tap

    def __init__(self, wrapped: Any) -> None:
        object.__setattr__(self, _WRAPPED, wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(_OWN) or name == _WRAPPED:
            object.__setattr__(self, name, value)
        else:
            setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__wrapped__, name)


def _tap_type(tap: type[Tap], wrapped: type) -> type:
    """A subclass of a tap's class with the special methods that objects of a type have."""
    namespace: dict[str, Any] = {
        "__slots__": (),
        "__module__": wrapped.__module__,
        "__qualname__": wrapped.__qualname__,
        "__doc__": wrapped.__doc__,
        "__class__": property(attrgetter("__wrapped__.__class__")),
        "_self_types": tap._self_types,  # noqa: SLF001 - of the class that is made complete here
    }
    for name in tap._self_plain:  # noqa: SLF001 - of the class that is made complete here
        namespace[name] = property(attrgetter(f"{_WRAPPED}.{name}"))
    for base in reversed(wrapped.__mro__):
        for name, method in vars(base).items():
            if name.startswith("__") and name.endswith("__") and name not in _NOT_FORWARDED:
                if method is None:  # how a class takes back what its base has
                    namespace[name] = None
                elif callable(method):
                    own = tap._self_special.get(name)  # noqa: SLF001 - as above
                    namespace[name] = _forwarder(name) if own is None else getattr(tap, own)
    return type(wrapped.__name__, (tap,), namespace)


def _forwarder(name: str) -> Callable[..., Any]:
    def forward(self: Tap, *args: Any, **kwargs: Any) -> Any:
        wrapped = self.__wrapped__
        if isinstance(wrapped, type):  # whose attribute is the method of its instances
            return getattr(type(wrapped), name)(wrapped, *args, **kwargs)
        return getattr(wrapped, name)(*args, **kwargs)

    forward.__name__ = name
    return forward
