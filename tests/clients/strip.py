"""Reads the painted strip of a test card out of decoded luma (relay/client/src/testcard/strip.rs)."""

CELL = 16
BITS = 128
MAGIC = 0xB2


def crc16(data):
    """CRC-16/CCITT-FALSE."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def read(luma):
    """`luma` is a two-dimensional array. A dict with n, clock and serial_crc, or None."""
    height, width = luma.shape
    columns = width // CELL
    if columns == 0 or -(-BITS // columns) * CELL > height:
        return None
    value = 0
    for bit in range(BITS):
        y, x = bit // columns * CELL + 4, bit % columns * CELL + 4
        value = (value << 1) | int(luma[y : y + 8, x : x + 8].mean() >= 128)
    data = value.to_bytes(16, "big")
    if data[0] != MAGIC or int.from_bytes(data[14:], "big") != crc16(data[:14]):
        return None
    return {
        "serial_crc": int.from_bytes(data[1:5], "big"),
        "n": int.from_bytes(data[5:9], "big"),
        "clock": int.from_bytes(data[9:14], "big"),
    }
