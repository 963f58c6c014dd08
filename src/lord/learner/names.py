"""Check names of new classes, which may be known names spelled differently."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence

from lord.config import RefusedError

LONG = 4
"""Letters that a name has at least for one wrong letter to be taken for a mistake."""
LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u03bf\u03b1\u03bd\u03b9\u03c1\u0131\u043a\u043c\u0442\u0432\u043d",
    "aeopcyxijshdoavipikmtbh",
)
"""Letters of other alphabets, and the Latin ones that they look like."""


def check_names(
    new: Sequence[str],
    known: Sequence[str],
    renamed: Mapping[str, str],
    earlier: Mapping[str, str],
    *,
    allowed: bool | None,
    ask: Callable[[str], bool] | None,
) -> None:
    """Check the names of new classes before they are learned.

    A name is doubtful if it differs from another one only in case, in the form of its letters, or
    by one letter. Numbers that differ are not doubtful. A name is doubtful, too, if a class had it
    before it was renamed or merged, or if pictures of it were learned under another name.

    Args:
        new: names of the new classes.
        known: names of the classes that the learner has.
        renamed: new names with pictures that were learned under another name, and that name.
        earlier: names that classes had before, and the names that they have now.
        allowed: True to accept all names, False to refuse any new class.
        ask: asks a person a question, and returns whether the answer is yes. Without it, doubtful
            names are refused.

    Raises:
        RefusedError: names a class that is refused.
    """
    if allowed or not new:
        return
    if allowed is False:
        raise RefusedError(
            f"{_listed(new)} would be new, and new classes are not allowed",
            allowed=f"classes that were learned ({_listed(known)})" if known else None,
        )
    for place, name in enumerate(new):
        others = [each for each in known if doubtful(name, each)]
        others += [each for each in new[:place] if folded(name) == folded(each)]
        question = f"'{name}' would become a new class beside '{others[0]}'" if others else ""
        if name in earlier:
            others = [earlier[name]]
            question = f"'{name}' would become a new class, but is now called '{others[0]}'"
        elif name in renamed:
            others = [renamed[name]]
            question = f"'{name}' would become a new class, but has pictures of '{others[0]}'"
        if not others:
            continue
        if ask is None or not ask(f"{question}. Is it another class?"):
            raise RefusedError(
                question,
                hint=f"rename the folder to '{others[0]}', or set `new_classes` if it is right",
            )


def doubtful(name: str, other: str) -> bool:
    """Return whether a name may be another one spelled differently.

    >>> doubtful("Teapot", "teapot"), doubtful("tepot", "teapot"), doubtful("cat", "car")
    (True, True, False)
    >>> doubtful("n02085620", "n02085720"), doubtful("te\\u0430pot", "teapot")
    (False, True)
    """
    one, two = folded(name), folded(other)
    if one == two:
        return True
    return min(len(one), len(two)) >= LONG and _one_edit(*sorted((one, two), key=len))


def folded(name: str) -> str:
    """Return a name without case, invisible characters and forms of letters that look alike."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(LOOKALIKES)
    return "".join(each for each in plain if unicodedata.category(each) != "Cf").strip()


def _one_edit(short: str, long: str) -> bool:
    """Return whether one letter is other, missing or swapped with the next. Digits do not count."""
    same = next((n for n, one in enumerate(short) if one != long[n]), len(short))
    ones, others = short[same:], long[same:]
    if len(short) == len(long):
        if ones[:2] == others[1::-1] and ones[2:] == others[2:]:
            return not any(each.isdigit() for each in ones[:2])
        return ones[1:] == others[1:] and not (ones[0] + others[0]).isdigit()
    return ones == others[1:] and not others[0].isdigit()


def _listed(names: Sequence[str]) -> str:
    more = f", ... {len(names)}" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + more
