"""Read a configuration file."""

from pathlib import Path

import yaml

from lord.config.errors import UserError
from lord.config.parse import Value, setting_name


class _Once(yaml.SafeLoader):
    """A loader that refuses a setting given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        names = [setting_name(str(name.value)) for name, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Value]:
    """Read a configuration file: a YAML mapping from settings to values.

    Raises:
        UserError: if it is missing or not a mapping.
    """
    try:
        read = yaml.load(path.read_text(), Loader=_Once)
    except OSError as error:
        raise UserError(f"cannot read the configuration '{path}': {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"the configuration '{path}' is not valid YAML: {why}") from None
    if not isinstance(read, dict):
        raise UserError(
            f"the configuration '{path}' is not a mapping", allowed="lines of 'setting: value'"
        )
    return {setting_name(str(name)): value for name, value in read.items()}
