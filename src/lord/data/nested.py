"""Tell folders of classes from classes."""

from collections.abc import Collection, Iterable
from pathlib import Path

from lord.config import RefusedError
from lord.data.sources.folder import TEST, has_pictures


def check_not_nested(path: Path, labels: Iterable[str], known: Collection[str] = ()) -> None:
    """Refuse a data set in which a class is itself a folder of classes, as that of a week is.

    Args:
        path: a data set.
        labels: names of its classes.
        known: names that are classes for sure.

    Raises:
        RefusedError: names a folder that holds classes.
    """
    root = path / "train" if (path / "train").is_dir() and "train" not in labels else path
    names = sorted(set(labels) - set(known), key=lambda name: (name in TEST, name))
    inner = {name: sorted(each.name for each in (root / name).glob("[!.]*/")) for name in names}
    for name in names:
        if classes := [each for each in inner[name] if each in known]:
            raise RefusedError(
                f"'{root / name}' would become a class, but holds a folder of class '{classes[0]}'",
                hint=f"name '{root / name}' instead",
            )
    for name in names:
        # A folder 'images' in each class is a known layout.
        if inner[name] in ([], ["images"]) or has_pictures(root / name):
            continue
        if "train" in inner[name]:
            hint = f"name one of its data sets, such as '{root / name}'"
            raise RefusedError(f"'{path}' has no classes, but data sets", hint=hint)
        some = ", ".join(inner[name][:3])
        raise RefusedError(
            f"'{root / name}' would become a class, but holds only folders ({some})",
            hint=f"if those are the classes, name '{root / name}' instead; else put the images of "
            f"'{name}' beside them",
        )
