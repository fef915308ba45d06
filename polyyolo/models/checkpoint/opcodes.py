"""What each pickle opcode does; the opcodes that are not here are refused."""

from collections.abc import Callable, Hashable
from typing import Any

from attrs import define, field

from polyyolo.models.checkpoint.allowed import forbidden, is_allowed
from polyyolo.models.checkpoint.objects import Built, Name, Refused, Storage

_ORDERED_DICT = "collections.OrderedDict"
_MARK = object()
_KEYS = (str, int, bool, bytes, type(None), Name)

_MAX_KEY = 1 << 32
_MAX_BITS = 1024


@define(eq=False)
class Machine:
    """The stack and the memo of one pickle; mutable, as opcodes are instructions to it."""

    stack: list[Any] = field(factory=list)
    memo: dict[int, Any] = field(factory=dict)

    def pop(self) -> Any:  # noqa: ANN401 - a pickle holds anything
        """Take the top."""
        if not self.stack or self.stack[-1] is _MARK:
            raise Refused("an opcode finds the stack empty")
        return self.stack.pop()

    def top(self, kind: type) -> Any:  # noqa: ANN401 - a pickle holds anything
        """Look at the top, which must be a ``kind``."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise Refused(f"an opcode finds no {kind.__name__} on the stack")
        return self.stack[-1]

    def slice(self) -> list[Any]:
        """Take everything down to the last mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise Refused("an opcode finds no mark on the stack")

    def name(self) -> Name:
        """Take a name off the stack."""
        value = self.pop()
        if not isinstance(value, Name):
            raise Refused(f"it calls a {type(value).__name__}")
        return value


def _push(machine: Machine, arg: object) -> None:
    machine.stack.append(arg)


def _long(machine: Machine, arg: int) -> None:
    if arg.bit_length() > _MAX_BITS:
        raise Refused(f"it has a number of {arg.bit_length()} bits")
    machine.stack.append(arg)


def _constant(make: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


def _tuple(count: int) -> Callable[[Machine, Any], None]:
    def act(machine: Machine, _: object) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return act


def _put(machine: Machine, arg: int) -> None:
    machine.memo[arg] = machine.top(object)


def _memoize(machine: Machine, _: object) -> None:
    machine.memo[len(machine.memo)] = machine.top(object)


def _get(machine: Machine, arg: int) -> None:
    if arg not in machine.memo:
        raise Refused(f"it refers to object {arg}, which it has not made")
    machine.stack.append(machine.memo[arg])


def _global(machine: Machine, arg: str) -> None:
    path = arg.replace(" ", ".", 1)
    if not is_allowed(path):
        raise forbidden(ascii(path[:200])[1:-1])
    machine.stack.append(Name(path))


def _stack_global(machine: Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise Refused("it names a class with something that is no text")
    _global(machine, f"{module} {name}")


def _call(machine: Machine, _: object) -> None:
    args, name = machine.pop(), machine.name()
    if not isinstance(args, tuple):
        raise Refused(f"it calls {name.path} with a {type(args).__name__}")
    machine.stack.append({} if name.path == _ORDERED_DICT and not args else Built(name.path, args))


def _build(machine: Machine, _: object) -> None:
    state = machine.pop()
    target = machine.top(object)
    if isinstance(target, dict):  # an OrderedDict's own attributes, as state_dict() leaves them; nothing reads them
        return
    if not isinstance(target, Built) or target.state is not None:
        raise Refused(f"it gives state to a {type(target).__name__}")
    target.state = state


def _persistent(machine: Machine, _: object) -> None:
    machine.stack.append(Storage(machine.pop()))


def _append(machine: Machine, _: object) -> None:
    item = machine.pop()
    machine.top(list).append(item)


def _appends(machine: Machine, _: object) -> None:
    items = machine.slice()
    machine.top(list).extend(items)


def _set_item(machine: Machine, _: object) -> None:
    value, key = machine.pop(), machine.pop()
    machine.top(dict)[_key(key)] = value


def _set_items(machine: Machine, _: object) -> None:
    items = machine.slice()
    target = machine.top(dict)
    if len(items) % 2:
        raise Refused("it sets a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _add_items(machine: Machine, _: object) -> None:
    items = machine.slice()
    machine.top(set).update(map(_key, items))


def _key(value: Any) -> Hashable:  # noqa: ANN401 - a pickle holds anything
    """Pass what hashes safely.

    A tuple of a million tuples would overflow the interpreter's own stack, and large numbers can be chosen so that all
    of them hash alike.
    """
    if not isinstance(value, _KEYS) or (isinstance(value, int) and abs(value) >= _MAX_KEY):
        raise Refused(f"it uses a {type(value).__name__} as a key")
    return value


ACTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
    "LONG1": _long,
    "LONG4": _long,
    "NONE": _constant(lambda: None),
    "NEWTRUE": _constant(lambda: True),
    "NEWFALSE": _constant(lambda: False),
    "MARK": _constant(lambda: _MARK),
    "EMPTY_DICT": _constant(dict),
    "EMPTY_LIST": _constant(list),
    "EMPTY_SET": _constant(set),
    "EMPTY_TUPLE": _constant(tuple),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.slice())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "POP": lambda machine, _: machine.pop() and None,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
}
ACTIONS |= dict.fromkeys(
    (
        *("BININT", "BININT1", "BININT2", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    ),
    _push,
)
