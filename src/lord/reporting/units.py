"""Amounts in the unit that suits their size."""


def size(count: float) -> str:
    """Return a number of bytes with its unit. A kB is 1000 B.

    >>> size(640), size(31_200), size(1_234_567)
    ('640 B', '31.2 kB', '1.23 MB')
    """
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(count) >= least * 0.9995:
            return f"{float(f'{count / least:.3g}'):g} {unit}"
    return f"{count:.0f} B"
