"""What a Flex operator really runs: the node of TensorFlow's graph that it carries in its options.

TFLite finds the Flex kernel by the operator's name and then runs whatever the node names, so that the name alone proves
nothing. The options are a FlexBuffer `[name, NodeDef as protobuf]`; of both formats only what is needed is read.
"""

from __future__ import annotations

VECTOR, STRING = 10, 5
NODE_OP_FIELD = 2
LENGTH_DELIMITED = 2
# Bytes that follow a protobuf key of these wire types.
FIXED = {1: 8, 5: 4}


def node_op(options: bytes) -> str:
    """The op that a Flex operator's node names; ValueError when the options hold none."""
    try:
        return _op_field(_second_string(options))
    except IndexError as error:
        raise ValueError("its node is cut off") from error


def _second_string(options: bytes) -> bytes:
    """The second entry of the root vector."""
    width, kind = options[-1], options[-2]
    if kind >> 2 != VECTOR:
        raise ValueError("its options are no vector")
    root = len(options) - 2 - width
    start = root - _number(options, root, width)
    width = 1 << (kind & 3)
    count = _number(options, start - width, width)
    if count < 2 or start < width:
        raise ValueError("its options hold no node")
    entry = start + width
    entry_kind = options[start + count * width + 1]
    if entry_kind >> 2 != STRING:
        raise ValueError("its node is no string")
    text = entry - _number(options, entry, width)
    text_width = 1 << (entry_kind & 3)
    length = _number(options, text - text_width, text_width)
    if text < 0 or text + length > len(options):
        raise ValueError("its node is cut off")
    return options[text : text + length]


def _number(data: bytes, place: int, width: int) -> int:
    if place < 0 or width not in (1, 2, 4, 8) or place + width > len(data):
        raise ValueError("its options are damaged")
    return int.from_bytes(data[place : place + width], "little")


def _op_field(node: bytes) -> str:
    """The last field `op` of a NodeDef, which is the one that protobuf's readers take."""
    found, place = None, 0
    while place < len(node):
        key, place = _varint(node, place)
        wire = key & 7
        if wire == LENGTH_DELIMITED:
            length, place = _varint(node, place)
            if place + length > len(node):
                raise ValueError("its node is cut off")
            if key >> 3 == NODE_OP_FIELD:
                found = node[place : place + length]
            place += length
        elif wire == 0:
            _, place = _varint(node, place)
        elif wire in FIXED:
            place += FIXED[wire]
        else:
            raise ValueError("its node is damaged")
    if not found:
        raise ValueError("its node names no op")
    return found.decode(errors="replace")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("its node is damaged")
